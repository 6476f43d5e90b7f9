"""Scores per frame; means are taken over frames, never over pixels of several frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from flowdeblur.objectives import end_points


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each frame.

    Args:
        restored: (B, 3, H, W), clamped to [0, 1] before it is compared.
        sharp: (B, 3, H, W) in [0, 1].

    Returns:
        (B,) in dB, from the mean squared error over height, width and colour.
    """
    scores: Tensor = peak_signal_noise_ratio(
        restored.clamp(0, 1), sharp, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return scores


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Structural similarity of each frame (Wang et al. 2004), the mean of three colour channels.

    Gaussian window of 11 x 11 pixels, sigma 1.5, wherever it lies inside the frame. MATLAB's
    ``ssim`` on an RGB array, which the paper most likely used, has a third window dimension over
    colour and comes out about 0.02 higher.

    Args:
        restored: (B, 3, H, W), clamped to [0, 1] before it is compared; H and W at least 11.
        sharp: (B, 3, H, W) in [0, 1].

    Returns:
        (B,)
    """
    _, full = structural_similarity_index_measure(
        restored.clamp(0, 1), sharp, data_range=1.0, reduction="none", return_full_image=True
    )
    whole_windows: Tensor = full[..., 5:-5, 5:-5]  # torchmetrics mirrors the frame at its borders
    return whole_windows.mean((1, 2, 3))


def end_point_error(flow: Tensor, true_flow: Tensor, visible: Tensor | None = None) -> Tensor:
    """Mean distance of end points in each frame.

    Args:
        flow: (B, 2 N, h, w) in pixels of its scale, brought to full size bilinearly; h may cover a
            padded frame.
        true_flow: (B, 2 N, H, W) in pixels.
        visible: (B, N, H, W) bool; other pixels are left out.

    Returns:
        (B,) in pixels of the full size.
    """
    height, width = true_flow.shape[-2:]
    scale = -(-height // 64) * 64 // flow.shape[-2]
    full = torch.nn.functional.interpolate(
        scale * flow, scale_factor=scale, mode="bilinear", align_corners=False
    )
    errors = end_points(full[..., :height, :width], true_flow)
    mask = torch.ones_like(errors) if visible is None else visible.to(errors.dtype)
    return (errors * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)
