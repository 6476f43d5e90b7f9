"""VMAF, by torchmetrics and vmaf-torch."""

from __future__ import annotations

from typing import cast

from torch import Tensor
from torchmetrics.functional.video import video_multi_method_assessment_fusion

from flowdeblur.errors import UserError
from flowdeblur.evaluation.scorer import PairMetric
from flowdeblur.extras import import_extra

_SMALLEST = 32


class VMAF(PairMetric):
    """Video multi-method assessment fusion, model 0.6.1, of a frame with the previous one.

    Li et al., "Toward a Practical Perceptual Video Quality Metric", Netflix 2016. Each frame is
    scored as the second one of a clip of two, so that its motion is that from the previous frame;
    over a whole clip, libvmaf takes the smaller motion of both sides. Luma is 0.299 R + 0.587 G +
    0.114 B in levels from 0 to 255. Range: 0 to 100; higher is better. Needs sharp frames.

    Raises:
        UserError: vmaf-torch or einops is not installed.
    """

    higher_is_better = True

    def __init__(self) -> None:
        for library in ("vmaf_torch", "einops"):
            import_extra(library, "metrics")

    def compare(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Score two frames, (2, 3, H, W) each; H and W at least 32."""
        height, width = restored.shape[-2:]
        if min(height, width) < _SMALLEST:
            raise UserError(
                f"frames of {width}x{height} pixels are too small: VMAF needs "
                f"{_SMALLEST}x{_SMALLEST}; leave it out"
            )
        clip, truth = (each.transpose(0, 1)[None] for each in (restored.clamp(0, 1), sharp))
        scores = cast(Tensor, video_multi_method_assessment_fusion(clip, truth))
        return scores[0, 1].clamp(0, 100)  # as libvmaf; torchmetrics leaves it open
