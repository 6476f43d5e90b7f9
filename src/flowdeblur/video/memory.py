"""How much of a clip fits into a device's memory at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from flowdeblur.networks.flow_guided import STRIDE
from flowdeblur.networks.tiles import SMALLEST_TILE

_BYTES_A_PIXEL = 1000
"""What the paper's width takes in float32: 830 to 1,010 were measured from 512x512 to 1920x1088."""

_SHARE = 0.5  # of the memory that is available, so that everything else has room
_LARGEST_BATCH = 8


class Portion(NamedTuple):
    """What a network restores at a time.

    Attributes:
        tile: height and width of tiles in pixels; None for the whole picture.
        batch: how many frames.
    """

    tile: int | None
    batch: int


def portion(size: tuple[int, int], device: torch.device, *, tile: int | None = None) -> Portion:
    """Choose what fits; several frames at a time on a GPU only, where it is faster.

    Args:
        size: (H, W) of the frames.
        device: where the network runs.
        tile: None chooses the whole picture, or the largest tile if memory is short.
    """
    available = available_memory(device)
    pixels = math.inf if available is None else _SHARE * available / _BYTES_A_PIXEL
    if tile is None and math.prod(map(_padded, size)) > pixels:
        tile = max(int(math.sqrt(pixels)) // STRIDE * STRIDE, SMALLEST_TILE)
    if device.type == "cpu" or available is None:
        return Portion(tile, 1)
    area = math.prod(min(_padded(side), tile or _padded(side)) for side in size)
    return Portion(tile, max(1, min(_LARGEST_BATCH, int(pixels / area))))


def available_memory(device: torch.device) -> int | None:
    """Bytes that can still be taken; None where it cannot be told."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(_limits(), default=None) if device.type == "cpu" else None


def _limits() -> Iterator[int]:
    """What Linux has left, and what it leaves to a container."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield 1024 * int(line.split()[1])
    limit, used = _read("/sys/fs/cgroup/memory.max"), _read("/sys/fs/cgroup/memory.current")
    if limit.strip().isdecimal() and used:
        for line in _read("/sys/fs/cgroup/memory.stat").splitlines():
            if line.startswith("inactive_file "):  # a cache that makes room when asked
                yield int(limit) - int(used) + int(line.split()[1])


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _padded(side: int) -> int:
    return -(-side // STRIDE) * STRIDE
