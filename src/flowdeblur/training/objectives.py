"""Objectives of training: Eq. 14 of the paper and named deviations from it.

Eq. 14 sums squared differences over pixels, so that each scale counts by its area. Every term here
is therefore divided by the same number, the 3 H W values of a full frame, and not by its own number
of values. With ``sums=True`` nothing is divided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.errors import UserError
from flowdeblur.evaluation.metrics import end_points
from flowdeblur.networks.blocks import downsample
from flowdeblur.ops import backward_warp, inside
from flowdeblur.training.pyramid import Pyramid
from flowdeblur.training.saturation import Saturation
from flowdeblur.types import Batch, Restoration

Penalty = Callable[[Tensor], Tensor]
"""Maps differences (B, C, H, W) to a penalty of each value, or of each frame, (B, 1, 1, 1)."""


def squared(difference: Tensor) -> Tensor:
    """Squared error, the paper's penalty."""
    return difference.square()


def absolute(difference: Tensor) -> Tensor:
    """Absolute difference (L1)."""
    return difference.abs()


class Charbonnier:
    """sqrt(d^2 + epsilon^2), a smooth absolute value (Charbonnier et al. 1994).

    It is less sensitive to outliers than the squared error.

    Args:
        epsilon: where it turns from quadratic to linear, in units of the image range.
    """

    def __init__(self, epsilon: float = 1e-3) -> None:
        self.epsilon = epsilon

    def __call__(self, difference: Tensor) -> Tensor:
        """Penalty of each value."""
        return (difference.square() + self.epsilon**2).sqrt()


class ColorCharbonnier:
    """sqrt(d^2 + epsilon^2) of each pixel, d^2 being its mean over the colors (ESTRNN).

    Args:
        epsilon: transition from quadratic to linear, in units of the image range.
    """

    def __init__(self, epsilon: float = 1e-3) -> None:
        self.epsilon = epsilon

    def __call__(self, difference: Tensor) -> Tensor:
        """Penalize each pixel: (B, C, H, W) -> (B, 1, H, W)."""
        return (difference.square().mean(1, keepdim=True) + self.epsilon**2).sqrt()


class LogMeanSquare:
    """10 log10 of each frame's mean squared error: minus its PSNR, in dB (HINet, NAFNet).

    With the squared error a few strongly blurred frames outweigh all others; here every frame
    counts by the decibels that it gains.

    Args:
        epsilon: added to the mean squared error. The gradient of a frame is proportional to the
            inverse of its error, so that without epsilon already sharp patches dominate the
            gradient; at 1e-3 frames beyond 30 dB count less and less.
    """

    def __init__(self, epsilon: float = 1e-3) -> None:
        self.epsilon = epsilon

    def __call__(self, difference: Tensor) -> Tensor:
        """Penalty of each frame in dB: (B, C, H, W) -> (B, 1, 1, 1)."""
        mean = difference.square().mean((1, 2, 3), keepdim=True)
        return 10 * (mean + self.epsilon).log10()


class Warping:
    """First term of Eq. 14: difference of the warped neighbours to the current frame.

    Each flow warps the neighbours at its scale. Both frames are downsampled by the same antialiased
    bicubic filter on the half-pixel grid, so that no motion is zero flow. (The released code
    samples the neighbour on another grid, up to 1.5 px away at 1/4 scale.)

    Args:
        weight: weight of this term; 1 in the paper.
        penalty: penalty of the differences.
        count_outside: whether pixels whose target is outside the neighbour are compared with 0, as
            in the released code; False ignores them.
    """

    def __init__(
        self, weight: float = 1.0, penalty: Penalty = squared, count_outside: bool = True
    ) -> None:
        self.weight, self.penalty, self.count_outside = weight, penalty, count_outside

    def __call__(
        self, flows: Sequence[Tensor], current: Tensor, others: Sequence[Tensor]
    ) -> Tensor:
        """Sum of the penalties over scales, neighbours and pixels.

        Args:
            flows: each (B, 2 N, h, w) in pixels of its scale.
            current: (B, 3, H, W).
            others: the N neighbours, each (B, 3, H, W).

        Returns:
            (B,)
        """
        total = current.new_zeros(current.shape[0])
        for scale, flow in _scales(flows, current):
            current_small = downsample(current, scale)
            for other, one_flow in zip(others, torch.split(flow, 2, dim=1), strict=True):
                difference = backward_warp(downsample(other, scale), one_flow) - current_small
                penalties = self.penalty(difference)
                if not self.count_outside:
                    penalties = penalties * inside(one_flow)
                total = total + penalties.sum(dim=(1, 2, 3))
        return self.weight * total


class EndPointError:
    """Supervision by true flow: mean distance between predicted and true end points.

    The unit is the full-size pixel. Occluded pixels are ignored if the batch marks them. All scales
    have the same weight.

    Args:
        weight: weight of this term.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(
        self, flows: Sequence[Tensor], true_flow: Tensor, visible: Tensor | None
    ) -> Tensor:
        """Mean over pixels and neighbours, summed over scales.

        Args:
            flows: each (B, 2 N, h, w) in pixels of its scale.
            true_flow: (B, 2 N, H, W) in pixels.
            visible: (B, N, H, W) bool, or None.

        Returns:
            (B,)
        """
        if visible is None:
            visible = true_flow.new_ones(
                true_flow.shape[0], true_flow.shape[1] // 2, *true_flow.shape[2:]
            )
        mask = visible.to(true_flow.dtype)
        total = true_flow.new_zeros(true_flow.shape[0])
        for scale, flow in _scales(flows, true_flow):
            share = _pool(mask, scale)
            seen = _pool(true_flow * mask.repeat_interleave(2, dim=1), scale)
            target = seen / share.repeat_interleave(2, dim=1).clamp(min=1e-6)
            error = end_points(scale * flow, target)
            total = total + (error * share).sum((1, 2, 3)) / share.sum((1, 2, 3)).clamp(min=1e-6)
        return self.weight * total


class Objective(nn.Module):
    """Sum of terms; the network's offsets and the batch determine which of them apply.

    Args:
        restoration: penalty of restored - sharp, the second term of Eq. 14; None if only flow is
            trained.
        warping: first term of Eq. 14; omitted for a network without flow.
        end_point: supervision by true flow; omitted if the data have none.
        pyramid: supervision of outputs at lower scales; omitted for a network without them.
        saturation: penalty of RNN weights near 1 and -1; omitted for a network without them.
        sums: sum over pixels as in Eq. 14; otherwise every term is divided by 3 H W.
    """

    def __init__(
        self,
        *,
        restoration: Penalty | None = None,
        warping: Warping | None = None,
        end_point: EndPointError | None = None,
        pyramid: Pyramid | None = None,
        saturation: Saturation | None = None,
        sums: bool = False,
    ) -> None:
        super().__init__()
        self.restoration, self.warping, self.end_point, self.sums = (
            restoration,
            warping,
            end_point,
            sums,
        )
        self.pyramid, self.saturation = pyramid, saturation

    def flow_terms(self) -> Objective:
        """Return the same objective without restoration."""
        return Objective(warping=self.warping, end_point=self.end_point, sums=self.sums)

    def has_flow_term(self, batch: Batch, flow_offsets: Sequence[int]) -> bool:
        """Whether a term about flow applies."""
        supervised = self.end_point is not None and "flow" in batch
        return bool(flow_offsets) and (self.warping is not None or supervised)

    def forward(
        self,
        prediction: Restoration,
        batch: Batch,
        frame_offsets: Sequence[int],
        flow_offsets: Sequence[int],
    ) -> dict[str, Tensor]:
        """Terms that apply, each averaged over the batch.

        Returns:
            Terms by name, and their sum as ``total``.

        Raises:
            UserError: no term applies to this network and these data.
        """
        sharp, frames = batch["sharp"], batch["frames"]
        values = sharp[0].numel()
        terms: dict[str, Tensor] = {}
        if self.restoration is not None:
            terms["restoration"] = self.restoration(prediction.restored - sharp).mean()
        if self.warping is not None and flow_offsets:
            others = [frames[:, frame_offsets.index(offset)] for offset in flow_offsets]
            current = frames[:, frame_offsets.index(0)]
            terms["warping"] = self.warping(prediction.flows, current, others).mean() / values
        if self.end_point is not None and flow_offsets and "flow" in batch:
            terms["end_point"] = self.end_point(
                prediction.flows, batch["flow"], batch.get("visible")
            ).mean()
        if self.pyramid is not None and prediction.coarse:
            terms["pyramid"] = self.pyramid(prediction.coarse, sharp).mean()
        if self.saturation is not None and prediction.rnn_weights:
            terms["saturation"] = self.saturation(prediction.rnn_weights).mean()
        if not terms:
            raise UserError(
                "objective: no term applies: this network or these data have no flow; "
                "choose another objective"
            )
        if self.sums:
            terms = {name: value * values for name, value in terms.items()}
        terms["total"] = torch.stack(list(terms.values())).sum()
        return terms


def _scales(flows: Sequence[Tensor], full: Tensor) -> list[tuple[int, Tensor]]:
    """Pairs of scale and flow, cropped to the cells that the unpadded frame covers completely.

    Scales at which the frame has no complete cell are omitted.
    """
    height, width = full.shape[-2:]
    pairs = []
    for level, flow in enumerate(reversed(flows)):
        scale = 4 << level  # flow2 stands at 1/4
        if height >= scale and width >= scale:
            pairs.append((scale, flow[..., : height // scale, : width // scale]))
    return pairs[::-1]


def _pool(x: Tensor, scale: int) -> Tensor:
    height, width = (size // scale * scale for size in x.shape[-2:])
    return F.avg_pool2d(x[..., :height, :width], scale)
