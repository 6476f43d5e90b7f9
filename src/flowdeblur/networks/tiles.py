"""Restoring a picture in overlapping tiles, for memory's sake.

The operator sweeps across the whole picture and the flow subnet sees motion in wide surroundings,
so that tiles are not exact; :func:`difference` measures by how much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from flowdeblur.networks.flow_guided import STRIDE
from flowdeblur.types import Restoration

SMALLEST_TILE, OVERLAP = 2 * STRIDE, STRIDE


class Tiled(nn.Module):
    """A network that restores a frame tile by tile, and is used like the network itself.

    Tiles begin at multiples of 64, where the network's strides meet the picture as they would
    without tiles. Where two overlap, one is faded into the other.

    Args:
        network: restores a tile.
        tile: height and width of a tile in pixels, a multiple of 64.
        overlap: of neighbouring tiles in pixels at least, a multiple of 64 and less than ``tile``.
    """

    def __init__(self, network: nn.Module, tile: int, overlap: int = OVERLAP) -> None:
        super().__init__()
        self.network, self.tile, self.overlap = network, tile, overlap
        self.frame_offsets = cast("tuple[int, ...]", network.frame_offsets)

    def forward(self, frames: Tensor, *, keep_rnn_weights: bool = False) -> Restoration:
        """Restore (B, T, 3, H, W); there are no flows or RNN weights of the whole picture."""
        height, width = frames.shape[-2:]
        total = frames.new_zeros(len(frames), 3, height, width)
        weight = frames.new_zeros(height, width)
        for rows in spans(height, self.tile, self.overlap):
            for columns in spans(width, self.tile, self.overlap):
                part = frames[..., rows.inside, columns.inside].contiguous()
                restored = self.network(part, keep_rnn_weights=False).restored
                fade = torch.outer(rows.fade(frames.device), columns.fade(frames.device))
                total[..., rows.inside, columns.inside] += fade * restored
                weight[rows.inside, columns.inside] += fade
        return Restoration(total / weight, (), ())


@dataclass(frozen=True, slots=True)
class Span:
    """Rows or columns of a tile.

    Attributes:
        inside: of the picture.
        before: how many of them the tile before covers, too; 0 for the first.
        after: the same for the tile after.
    """

    inside: slice
    before: int
    after: int

    def fade(self, device: torch.device) -> Tensor:
        """Weights: 1, and towards a neighbour falling linearly to 0 over what both cover."""
        count = self.inside.stop - self.inside.start
        place = torch.arange(count, device=device) + 0.5
        rising = place / self.before if self.before else torch.ones_like(place)
        falling = (count - place) / self.after if self.after else torch.ones_like(place)
        return rising.clamp(max=1) * falling.clamp(max=1)


def spans(size: int, tile: int, overlap: int) -> list[Span]:
    """Lay tiles over ``size`` rows or columns, as evenly as multiples of 64 allow."""
    last = max(0, -(-(size - tile) // STRIDE)) * STRIDE
    steps = -(-last // (tile - overlap))
    starts = [last * step // (steps * STRIDE) * STRIDE for step in range(steps)] + [last]
    stops = [min(start + tile, size) for start in starts]
    overlaps = [0, *(stop - start for stop, start in zip(stops, starts[1:], strict=False)), 0]
    return [
        Span(slice(start, stop), before, after)
        for start, stop, before, after in zip(
            starts, stops, overlaps[:-1], overlaps[1:], strict=True
        )
    ]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a picture restored in tiles is from the same restored whole.

    Attributes:
        psnr: in dB, infinite where there is none.
        largest: of the 255 levels of a channel.
    """

    psnr: float
    largest: float


@torch.inference_mode()
def difference(tiled: Tiled, frames: Tensor) -> Difference:
    """Compare on one window (1, T, 3, H, W), on the device of network and frames."""
    whole = tiled.network(frames, keep_rnn_weights=False).restored.clamp(0, 1)
    off = (tiled(frames).restored.clamp(0, 1) - whole).double()
    error = off.square().mean().item()
    psnr = -10 * math.log10(error) if error else math.inf
    return Difference(psnr, 255 * off.abs().max().item())
