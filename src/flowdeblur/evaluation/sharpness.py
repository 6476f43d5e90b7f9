"""How sharp a frame is, without a reference."""

from __future__ import annotations

import torch
from torch import Tensor

from flowdeblur.blur.estimate import estimate_blur

_LUMA = (0.299, 0.587, 0.114)


class Sharpness:
    """Mean length of the gradient of luma, in levels of 255 a pixel; needs no sharp frame.

    Range: 0 to 361; higher is sharper. Noise and ringing raise it, too, and it depends on the
    content: compare the same frames only.
    """

    higher_is_better = True

    def __call__(self, restored: Tensor, sharp: Tensor | None = None) -> Tensor:
        """Score each frame (B, 3, H, W) -> (B,); ``sharp`` is not used."""
        weights = restored.new_tensor(_LUMA)[:, None, None]
        luma = 255 * (restored.clamp(0, 1) * weights).sum(1)
        right = luma[:, :-1, 1:] - luma[:, :-1, :-1]
        down = luma[:, 1:, :-1] - luma[:, :-1, :-1]
        return torch.hypot(right, down).mean((1, 2))


class BlurLength:
    """Estimated length of the blur in pixels; needs no sharp frame.

    See :func:`~flowdeblur.blur.estimate.estimate_blur`. Range: 0 to about 60; lower is sharper.
    """

    higher_is_better = False

    def __call__(self, restored: Tensor, sharp: Tensor | None = None) -> Tensor:
        """Score each frame (B, 3, H, W) -> (B,); ``sharp`` is not used."""
        return estimate_blur(restored.clamp(0, 1))
