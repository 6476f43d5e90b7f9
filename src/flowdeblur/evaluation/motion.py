"""PSNR where things move slowly, and where they move fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.evaluation.protocol import finite


def speed(flow: Tensor) -> Tensor:
    """Length of the flow in each pixel: (2 N, H, W) -> (H, W) px, the mean over N neighbours.

    Example:
        >>> flow = torch.tensor([3.0, 4.0]).view(2, 1, 1)
        >>> speed(flow).item()
        5.0
    """
    lengths: Tensor = flow.reshape(-1, 2, *flow.shape[-2:]).norm(dim=1).mean(0)
    return lengths


class MotionBins:
    """Squared errors, gathered from pixels of like motion over all frames.

    A bin's PSNR is that of its pooled squared error. So it does not depend on how the pixels are
    spread over frames, and is not comparable with a mean over frames.

    Args:
        edges: ascending, pixels a frame interval; the first bin begins at 0 and the last has no
            end.

    Raises:
        UserError: the edges do not ascend from above 0.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        if not edges or min(edges) <= 0 or sorted(set(edges)) != list(edges):
            raise UserError(
                f"motion_bins={list(edges)}: name edges that ascend from above 0, as [1,2,4]"
            )
        self.edges = [float(each) for each in edges]
        self.pixels = torch.zeros(len(edges) + 1, dtype=torch.float64)
        self._errors: dict[str, Tensor] = {}

    def add(self, speed: Tensor, restored: Mapping[str, Tensor], sharp: Tensor) -> None:
        """Take in a frame.

        Args:
            speed: (H, W) in pixels.
            restored: frames (3, H, W) by name of the method, clamped to [0, 1] before they are
                compared.
            sharp: (3, H, W) in [0, 1].
        """
        edges = torch.tensor(self.edges, dtype=speed.dtype, device=speed.device)
        bins = torch.bucketize(speed, edges, right=True).flatten()
        count = len(self.pixels)
        self.pixels += torch.bincount(bins, minlength=count).cpu()
        for name, frame in restored.items():
            errors = (frame.clamp(0, 1) - sharp).double().square().mean(0).flatten()
            sums = torch.bincount(bins, weights=errors, minlength=count).cpu()
            self._errors[name] = self._errors.get(name, torch.zeros_like(sums)) + sums

    def summary(self) -> list[dict[str, Any]]:
        """Describe each bin.

        Returns:
            ``from`` and ``to`` in pixels (None: no end), ``share`` of all pixels, and ``psnr`` in
            dB by method, None where the bin is empty.
        """
        shares = (self.pixels / self.pixels.sum()).tolist()
        scores = {
            name: (-10 * torch.log10(errors / self.pixels)).tolist()
            for name, errors in self._errors.items()
        }
        return [
            {
                "from": low,
                "to": high,
                "share": share,
                "psnr": {name: finite(values[place]) for name, values in scores.items()},
            }
            for place, (low, high, share) in enumerate(
                zip([0.0, *self.edges], [*self.edges, None], shares, strict=True)
            )
        ]
