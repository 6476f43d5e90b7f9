"""Choice and description of device and precision. The operator runs on CPUs and on CUDA."""

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


DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
}
"""Precisions of convolutions by name."""


def automatic_dtype(device: torch.device) -> torch.dtype:
    """The fastest precision that the device has instructions for.

    bfloat16 on GPUs that compute in it and on CPUs with AVX512-BF16, AMX or Arm's BF16; float16
    on older GPUs; float32 elsewhere.
    """
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if has_bfloat16 else torch.float16
    return torch.bfloat16 if device.type == "cpu" and _cpu_has_bfloat16() else torch.float32


def _cpu_has_bfloat16() -> bool:
    if platform.machine().lower() in ("arm64", "aarch64"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    # Private, but the only place where torch reports it; where they are missing, float32 is right.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)
