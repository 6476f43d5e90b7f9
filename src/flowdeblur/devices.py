"""Choice and description of the device. The operator has kernels for the CPU and for CUDA."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

import flowdeblur
from flowdeblur.errors import UserError


def automatic_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def find_device(name: str | None, option: str = "--device ") -> torch.device:
    """Return the device of that name; None for the automatic choice.

    Args:
        name: such as ``cpu``, ``cuda`` or ``cuda:1``.
        option: how the user sets it, for the message: ``--device `` or ``device=``.

    Raises:
        UserError: this machine has no such device, or the operator has no kernel for it.
    """
    if name is None:
        return automatic_device()
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{option}{name}: {reason}; use cpu, or leave it out") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"{option}{name}: the RNNs run on cpu and cuda only; use one of these")
    return device


def describe_device(device: torch.device) -> str:
    """Describe the device and the versions of flowdeblur and torch, for measured numbers."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        count = torch.get_num_threads()
        name = f"{_processor()}, {count} thread{'s' if count > 1 else ''}"
    return f"{name}; flowdeblur {flowdeblur.__version__}, torch {torch.__version__}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextmanager
def one_thread_per_operation() -> Iterator[int]:
    """Let PyTorch use one thread per operation; yield the number that it used before.

    Rendering is many small operations. Two threads that share them wait for each other most of the
    time: thirty times slower was measured while other programs kept the processor busy.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)
