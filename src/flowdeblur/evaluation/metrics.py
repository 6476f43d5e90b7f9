"""Scores per frame; means are taken over frames, never over pixels of several frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from flowdeblur.networks.flow_guided import at_full_size


class PerFrame:
    """Score each frame of a batch by a torchmetrics object, which would average over the batch.

    Args:
        metric: metric of images (B, 3, H, W) in [0, 1].
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.higher_is_better = metric.higher_is_better

    def __call__(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Return a score of each frame, (B,); ``restored`` is clamped to [0, 1]."""
        metric = self.metric.to(restored.device)
        scores = []
        for frame, truth in zip(restored.clamp(0, 1), sharp, strict=True):
            metric.reset()
            metric.update(frame[None], truth[None])
            scores.append(metric.compute().float().squeeze())
        return torch.stack(scores)


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each frame.

    Args:
        restored: (B, 3, H, W), clamped to [0, 1] before it is compared.
        sharp: (B, 3, H, W) in [0, 1].

    Returns:
        (B,) in dB, from the mean squared error over height, width and colour.

    Example:
        >>> sharp = torch.full((1, 3, 16, 16), 0.5)
        >>> round(psnr(sharp + 0.1, sharp).item(), 2)
        20.0
    """
    scores: Tensor = peak_signal_noise_ratio(
        restored.clamp(0, 1), sharp, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return scores


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Structural similarity of each frame (Wang et al. 2004), the mean of three colour channels.

    Gaussian window of 11 x 11 pixels, sigma 1.5, wherever it is inside the frame.

    Args:
        restored: (B, 3, H, W), clamped to [0, 1] before it is compared; H and W at least 11.
        sharp: (B, 3, H, W) in [0, 1].

    Returns:
        (B,)

    Example:
        >>> sharp = torch.rand(1, 3, 32, 32)
        >>> round(ssim(sharp, sharp).item(), 4)
        1.0
    """
    with torch.autocast(restored.device.type, enabled=False):  # variances would cancel in bfloat16
        _, full = structural_similarity_index_measure(
            restored.clamp(0, 1), sharp, data_range=1.0, reduction="none", return_full_image=True
        )
    whole_windows: Tensor = full[..., 5:-5, 5:-5]  # torchmetrics mirrors the frame at its borders
    return whole_windows.mean((1, 2, 3))


def ssim_volumetric(restored: Tensor, sharp: Tensor) -> Tensor:
    """Structural similarity of each frame as MATLAB's ``ssim`` computes it from an RGB array.

    MATLAB takes the array for a volume: the Gaussian window, sigma 1.5, has 11 x 11 x 11 values
    over height, width and colour. Beyond the volume its last value is repeated, and the mean is
    taken over the whole frame. It comes out 0.02 to 0.04 higher than :func:`ssim`, and is most
    likely what the paper reports.

    Args:
        restored: (B, 3, H, W), clamped to [0, 1] before it is compared.
        sharp: (B, 3, H, W) in [0, 1].

    Returns:
        (B,)

    Example:
        >>> sharp = torch.rand(1, 3, 32, 32)
        >>> round(ssim_volumetric(sharp, sharp).item(), 4)
        1.0
    """
    restored = restored.clamp(0, 1)
    mean_r, mean_s = _volumetric_blur(restored), _volumetric_blur(sharp)
    variance_r = _volumetric_blur(restored**2) - mean_r**2
    variance_s = _volumetric_blur(sharp**2) - mean_s**2
    covariance = _volumetric_blur(restored * sharp) - mean_r * mean_s
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_r * mean_s + c1) / (mean_r**2 + mean_s**2 + c1)
    structure = (2 * covariance + c2) / (variance_r + variance_s + c2)
    return (luminance * structure).mean((1, 2, 3))


def _volumetric_blur(x: Tensor) -> Tensor:
    """Weight (B, C, H, W) by a Gaussian over colour, height and width; the last values repeat."""
    batch, channels, height, width = x.shape
    offsets = torch.arange(-5, 6, device=x.device)
    taps = torch.exp(-(offsets.to(x.dtype) ** 2) / (2 * 1.5**2))
    taps = taps / taps.sum()
    # Each colour takes from each one the taps that fall on it, or beyond it if it is an outer one.
    colours = torch.arange(channels, device=x.device)
    sources = (colours[:, None] + offsets).clamp(0, channels - 1)
    mixing = F.one_hot(sources, channels).to(x.dtype).transpose(1, 2) @ taps
    planes = F.pad(x.flatten(0, 1)[:, None], (5, 5, 5, 5), mode="replicate")
    blurred = F.conv2d(F.conv2d(planes, taps.view(1, 1, 1, 11)), taps.view(1, 1, 11, 1))
    mixed: Tensor = torch.einsum(
        "oc,bchw->bohw", mixing, blurred.view(batch, channels, height, width)
    )
    return mixed


def end_point_error(flow: Tensor, true_flow: Tensor, visible: Tensor | None = None) -> Tensor:
    """Mean distance of end points in each frame.

    Args:
        flow: (B, 2 N, h, w) in pixels of its scale, brought to full size bilinearly; h may cover a
            padded frame.
        true_flow: (B, 2 N, H, W) in pixels.
        visible: (B, N, H, W) bool; other pixels are left out.

    Returns:
        (B,) in pixels of the full size.

    Example:
        >>> true = torch.zeros(1, 2, 8, 8)
        >>> true[:, 0], true[:, 1] = 3.0, 4.0
        >>> end_point_error(torch.zeros(1, 2, 8, 8), true).item()
        5.0
    """
    errors = end_points(at_full_size(flow, true_flow.shape[-2:]), true_flow)
    mask = torch.ones_like(errors) if visible is None else visible.to(errors.dtype)
    return (errors * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)


def end_points(flow: Tensor, true_flow: Tensor) -> Tensor:
    """Distances of end points: (B, 2 N, H, W) twice -> (B, N, H, W), in the flows' pixels."""
    distances: Tensor = torch.unflatten(flow - true_flow, 1, (-1, 2)).norm(dim=2)
    return distances
