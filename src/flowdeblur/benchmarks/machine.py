"""What measurements run on, and how much memory they take there."""

from __future__ import annotations

import ctypes
import gc
import platform
from collections.abc import Callable
from pathlib import Path

import torch

import flowdeblur


def describe(device: torch.device) -> str:
    """Name the device and the versions."""
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        count = torch.get_num_threads()
        where = f"{_processor()}, {count} thread{'s' if count > 1 else ''}"
    return f"{where}; flowdeblur {flowdeblur.__version__}, torch {torch.__version__}"


def peak_mib(function: Callable[[], object], device: torch.device) -> float | None:
    """Run a function; return the memory that it takes at its highest, in MiB.

    Tell the first run's: later ones reuse what the process holds. None where it cannot be told.
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


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
