"""How much of a clip fits into a device's memory at a time."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from flowdeblur.networks.tiles import ALIGNMENT, MIN_TILE
from flowdeblur.types import Network

_BYTES_A_PIXEL = 1000.0
"""What the paper's width takes in float32: 830 to 1,010 were measured from 512x512 to 1920x1088."""

_VALUES_A_PIXEL = 120.5  # that the layers of the same network put out
_PROBE_PX = 64

_IN_STRIPS = 0.4
"""Share of this that a network run in strips takes for each pixel of the whole frame, whatever the
tile; 0.43 was measured with tiles of 384 at 1920x1080, their own pixels included."""

_SHARE = 0.5  # of the memory that is available, so that everything else has room
_MAX_BATCH = 8


class Portion(NamedTuple):
    """How much a network restores at a time.

    Attributes:
        tile: height and width of tiles in pixels; None for the whole frame.
        batch: number of frames.
    """

    tile: int | None
    batch: int


def portion(
    size: tuple[int, int],
    device: torch.device,
    *,
    tile: int | None = None,
    pixel_bytes: float = _BYTES_A_PIXEL,
    in_strips: bool = False,
) -> Portion:
    """Choose what fits; several frames at a time on a GPU only, where it is faster.

    Args:
        size: (H, W) of the frames.
        device: where the network runs.
        tile: None chooses the whole frame, or the largest tile if memory is short.
        pixel_bytes: memory that the network takes for a pixel, see :func:`bytes_per_pixel`.
        in_strips: whether the network is run in strips, see
            :func:`flowdeblur.networks.inference.infer`.
    """
    available = available_memory(device)
    pixels = math.inf if available is None else _SHARE * available / pixel_bytes
    whole = math.prod(map(_padded, size))
    if tile is None and whole > pixels:
        left = max(0, pixels - _IN_STRIPS * whole) if in_strips else pixels
        tile = max(int(math.sqrt(left)) // ALIGNMENT * ALIGNMENT, MIN_TILE)
    if device.type == "cpu" or available is None:
        return Portion(tile, 1)
    area = math.prod(min(_padded(side), tile or _padded(side)) for side in size)
    return Portion(tile, max(1, min(_MAX_BATCH, int(pixels / area))))


@torch.inference_mode()
def bytes_per_pixel(network: Network) -> float:
    """Estimate the memory that a network takes for a pixel of a frame, in float32.

    The paper's network was measured; another one is taken to need as much more as its layers put
    out more values, counted on a small frame.

    Args:
        network: in evaluation mode.
    """
    probe = copy.deepcopy(network)
    module = cast(nn.Module, probe).cpu()
    values = 0

    def count(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal values
        values += output.numel() if isinstance(output, Tensor) else 0

    layers = [each for each in module.modules() if not list(each.children())]
    for each in layers:
        each.register_forward_hook(count)
    frames = torch.zeros(1, len(probe.frame_offsets), 3, _PROBE_PX, _PROBE_PX)
    probe(frames, keep_rnn_weights=False)
    return _BYTES_A_PIXEL * max(values / _PROBE_PX**2 / _VALUES_A_PIXEL, 0.1)


def available_memory(device: torch.device) -> int | None:
    """Bytes that can still be taken; None where it is unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(_limits(), default=None) if device.type == "cpu" else None


def _limits() -> Iterator[int]:
    """Memory left by Linux, and by the limit of a container."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield 1024 * int(line.split()[1])
    limit, used = _read("/sys/fs/cgroup/memory.max"), _read("/sys/fs/cgroup/memory.current")
    if limit.strip().isdecimal() and used:
        for line in _read("/sys/fs/cgroup/memory.stat").splitlines():
            if line.startswith("inactive_file "):  # a cache that is freed on demand
                yield int(limit) - int(used) + int(line.split()[1])


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _padded(side: int) -> int:
    return -(-side // ALIGNMENT) * ALIGNMENT
