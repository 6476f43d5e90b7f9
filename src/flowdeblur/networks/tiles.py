"""Restoring a frame in overlapping tiles to save memory, for any network.

The operator sweeps across the whole frame and the flow subnet sees motion in wide surroundings,
so tiles are not exact; :func:`flowdeblur.networks.inference.tile_difference` measures by how much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ALIGNMENT = 64
"""Tiles begin at multiples of this, where strides up to 64 meet the frame as without tiles."""

MIN_TILE, OVERLAP = 2 * ALIGNMENT, ALIGNMENT


def restore_in_tiles(
    restore: Callable[[Tensor], Tensor], frames: Tensor, tile: int, overlap: int = OVERLAP
) -> Tensor:
    """Restore a frame tile by tile; where two tiles overlap, one fades into the other.

    Args:
        restore: takes frames (B, T, 3, h, w), returns the restored frame (B, 3, h, w).
        frames: (B, T, 3, H, W).
        tile: height and width of a tile in pixels, a multiple of 64.
        overlap: minimum overlap of neighbouring tiles in pixels, a multiple of 64, less than
            ``tile``.

    Returns:
        (B, 3, H, W).
    """
    height, width = frames.shape[-2:]
    total = frames.new_zeros(len(frames), 3, height, width)
    weight = frames.new_zeros(height, width)
    for rows in spans(height, tile, overlap):
        for columns in spans(width, tile, overlap):
            part = frames[..., rows.inside, columns.inside].contiguous()
            fade = torch.outer(rows.fade(frames.device), columns.fade(frames.device))
            total[..., rows.inside, columns.inside] += fade * restore(part)
            weight[rows.inside, columns.inside] += fade
    return total / weight


@dataclass(frozen=True, slots=True)
class Span:
    """Rows or columns of a tile.

    Attributes:
        inside: the rows or columns of the frame that the tile covers.
        before: how many of them the previous tile covers, too; 0 for the first.
        after: how many of them the next tile covers, too; 0 for the last.
    """

    inside: slice
    before: int
    after: int

    def fade(self, device: torch.device) -> Tensor:
        """Weights: 1, falling linearly to 0 over the overlap with a neighbour."""
        count = self.inside.stop - self.inside.start
        place = torch.arange(count, device=device) + 0.5
        rising = place / self.before if self.before else torch.ones_like(place)
        falling = (count - place) / self.after if self.after else torch.ones_like(place)
        return rising.clamp(max=1) * falling.clamp(max=1)


def spans(size: int, tile: int, overlap: int) -> list[Span]:
    """Place tiles over ``size`` rows or columns, as evenly as multiples of 64 allow.

    Example:
        >>> [each.inside for each in spans(200, tile=128, overlap=64)]
        [slice(0, 128, None), slice(64, 192, None), slice(128, 200, None)]
    """
    last = max(0, -(-(size - tile) // ALIGNMENT)) * ALIGNMENT
    steps = -(-last // (tile - overlap))
    starts = [last * step // (steps * ALIGNMENT) * ALIGNMENT for step in range(steps)] + [last]
    stops = [min(start + tile, size) for start in starts]
    overlaps = [0, *(stop - start for stop, start in zip(stops, starts[1:], strict=False)), 0]
    return [
        Span(slice(start, stop), before, after)
        for start, stop, before, after in zip(
            starts, stops, overlaps[:-1], overlaps[1:], strict=True
        )
    ]
