"""Which device computes. The RNNs have kernels for two kinds, the CPU and CUDA."""

from __future__ import annotations

import torch

from flowdeblur.errors import UserError


def automatic_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def find_device(name: str | None, option: str = "--device ") -> torch.device:
    """The device of that name; without one the automatic choice.

    Args:
        name: as ``cpu``, ``cuda`` or ``cuda:1``.
        option: that the user gave it with, up to the name.

    Raises:
        UserError: there is no such device here, or no kernel for it.
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
