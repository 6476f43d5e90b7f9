"""Supervision of the coarse outputs of multi-scale networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from flowdeblur.networks.blocks import downsample


class Pyramid:
    """Penalty of every output at a lower scale, against the sharp frame at that scale.

    Every scale is averaged over its own pixels, as SRN and the network of Nah et al. do; Eq. 14, in
    contrast, divides by the pixels of the full frame.

    Args:
        penalty: of the differences.
        weight: of this term.
    """

    def __init__(self, penalty: Callable[[Tensor], Tensor], weight: float = 1.0) -> None:
        self.penalty, self.weight = penalty, weight

    def __call__(self, coarse: Sequence[Tensor], sharp: Tensor) -> Tensor:
        """Average over pixels, sum over scales.

        Args:
            coarse: outputs at ..., 1/4, 1/2 of the padded frame, each (B, 3, h, w); only the whole
                cells that the unpadded frame covers count.
            sharp: (B, 3, H, W).

        Returns:
            (B,)
        """
        total = sharp.new_zeros(len(sharp))
        for level, output in enumerate(reversed(coarse), start=1):
            if min(sharp.shape[-2:]) >> level:
                target = downsample(sharp, 1 << level)
                difference = output[..., : target.shape[-2], : target.shape[-1]] - target
                total = total + self.penalty(difference).mean((1, 2, 3))
        return self.weight * total
