"""Shrinkage of small changes: where a network changes less than it errs, a frame stays as it is."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_WINDOW, _STEP = 32, 8


def shrink_changes(frame: Tensor, restored: Tensor, error: float) -> Tensor:
    """Multiply the change of each neighbourhood by its Wiener gain, E / (E + error^2).

    E is the mean square of the change in windows of 32x32 pixels. A change is what it should be
    plus an error; where it is hardly larger than the error that the network makes on sharp frames,
    little of it is right.

    Args:
        frame: (B, 3, H, W), RGB in [0, 1]; H and W multiples of 8.
        restored: the same frame, restored.
        error: root mean square of the network's error on sharp frames, in levels of 255.

    Returns:
        (B, 3, H, W).

    Example:
        >>> frame = torch.zeros(1, 3, 64, 64)
        >>> changed = shrink_changes(frame, frame + 2 / 255, error=2)  # by half of it
        >>> round(changed.mean().item() * 255, 3)
        1.0
    """
    change = restored - frame
    energy = F.avg_pool2d(
        change.square().mean(1, keepdim=True),
        _WINDOW,
        _STEP,
        padding=(_WINDOW - _STEP) // 2,
        count_include_pad=False,
    )
    gain = energy / (energy + (error / 255) ** 2)
    return frame + change * F.interpolate(gain, scale_factor=_STEP, mode="bilinear")
