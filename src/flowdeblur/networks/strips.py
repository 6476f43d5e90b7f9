"""Restoring a frame in strips of full width, exactly, with less memory.

Most of the memory of the paper's network is taken at half the frame's size, around its largest RNN.
That part runs strip by strip; all else runs on the whole frame. The convolutions of a strip read a
few rows beyond it. The RNN sweeps rows within a strip, and columns across all strips, so the states
at a strip's upper and lower border are handed on: those that rise are computed first, from the
bottom to the top, those that descend along the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flowdeblur.networks.coupling import SpatiallyVariantRNN
from flowdeblur.ops import spatially_variant_rnn

HALO = 8
"""Rows at half size that a strip reads beyond its own, at least as many as the layers after it."""


_MIN_ROWS = 64


def strip_rows(tile: int, width: int) -> int:
    """Rows of a strip of a frame's ``width`` with the area of a tile, a multiple of 8."""
    return max(_MIN_ROWS, tile * tile // width // 8 * 8)


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows of the RNN's maps.

    Attributes:
        own: rows whose results are kept.
        read: the same with the halo.
    """

    own: slice
    read: slice

    def crop(self, x: Tensor, scale: float = 1) -> Tensor:
        """Keep the strip's own rows of a map (..., h, W) of its ``read`` rows times ``scale``."""
        start = round(scale * (self.own.start - self.read.start))
        return x[..., start : start + round(scale * (self.own.stop - self.own.start)), :]


def strips(height: int, rows: int) -> list[Strip]:
    """Divide ``height`` rows into strips of ``rows``, a multiple of 4."""
    starts = range(0, height, rows)
    own = [slice(start, min(start + rows, height)) for start in starts]
    return [
        Strip(each, slice(max(0, each.start - HALO), min(height, each.stop + HALO))) for each in own
    ]


class SweptStrips:
    """An RNN's maps (B, 4C, h, W), computed strip by strip.

    Args:
        coupling: the RNN.
        features: (B, C, H, W).
        guide: (B, G, H, W).
        rows: height of a strip, a multiple of 4.
    """

    def __init__(
        self, coupling: SpatiallyVariantRNN, features: Tensor, guide: Tensor, rows: int
    ) -> None:
        self._rnnw, self._features, self._guide = coupling.rnnw, features, guide
        self.strips = strips(features.shape[2], rows)
        self._rising = self._rise()

    def map(self, function: Callable[[Strip, Tensor], Tensor]) -> Tensor:
        """Apply ``function`` to each strip and its maps, from top to bottom; join the results.

        Args:
            function: takes a strip and the maps of its ``read`` rows, returns (B, D, h, W) of the
                strip's own rows, at any scale.
        """
        descending = torch.zeros_like(self._features[:, :, 0])
        results = []
        for index, strip in enumerate(self.strips):
            states = self._sweep(strip.read, descending, self._rising[index])
            results.append(function(strip, states))
            if index + 1 < len(self.strips):
                row = self.strips[index + 1].read.start - 1 - strip.read.start
                channels = self._features.shape[1]
                descending = states[:, 2 * channels : 3 * channels, row]
        return torch.cat(results, dim=2)

    def _sweep(self, rows: slice, above: Tensor, below: Tensor) -> Tensor:
        """Run the RNN on some rows, with the states that enter from above and below (B, C, W)."""
        features = self._features[:, :, rows]
        # A weight of 0 copies the feature: two rows more start the sweeps of the columns.
        padded = torch.cat((above[:, :, None], features, below[:, :, None]), dim=2)
        logits = F.pad(self._logits(self._rnnw, rows), (0, 0, 1, 1))
        return spatially_variant_rnn(padded, logits.to(padded.dtype), tanh=True)[:, :, 1:-1]

    def _rise(self) -> list[Tensor]:
        """The states that enter each strip from below, (B, C, W)."""
        channels = self._features.shape[1]
        state = torch.zeros_like(self._features[:, :, 0], dtype=torch.float32)
        states = [state]
        weight, bias = self._rnnw.weight[3 * channels :], self._rnnw.bias
        assert bias is not None
        bias = bias[3 * channels :]

        def rising(guide: Tensor) -> Tensor:
            return F.conv2d(guide, weight, bias, padding=1)

        for upper, lower in zip(self.strips[-2::-1], self.strips[:0:-1], strict=True):
            rows = slice(upper.read.stop, lower.read.stop)
            weights = self._logits(rising, rows).float().tanh()
            features = self._features[:, :, rows].float()
            for row in reversed(range(features.shape[2])):
                state = torch.lerp(features[:, :, row], state, weights[:, :, row])
            states.append(state)
        return [each.to(self._features.dtype) for each in reversed(states)]

    def _logits(self, convolution: Callable[[Tensor], Tensor], rows: slice) -> Tensor:
        """Apply a 3x3 convolution to some rows of the guide, with a row more at each side."""
        start, stop = max(0, rows.start - 1), min(self._guide.shape[2], rows.stop + 1)
        logits = convolution(self._guide[:, :, start:stop])
        return logits[:, :, rows.start - start :][:, :, : rows.stop - rows.start]
