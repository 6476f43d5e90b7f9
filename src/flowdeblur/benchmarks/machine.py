"""Peak memory of a function."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import torch


def peak_mib(function: Callable[[], object], device: torch.device) -> float | None:
    """Run a function; return the memory that it takes at its highest, in MiB.

    Report that of the first run: later ones reuse what the process holds. None where unknown.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        reset.write_text("5")  # Linux: forget the highest resident size so far
    except OSError:
        return None
    ctypes.CDLL(None).malloc_trim(0)  # give back what the models before it left
    before = _kilobytes(status, "VmRSS")
    function()
    return (_kilobytes(status, "VmHWM") - before) / 2**10


def _kilobytes(status: Path, key: str) -> int:
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields[key].split()[0])
