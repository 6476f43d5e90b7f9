"""How blurred a frame is, estimated from only the frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SCALES = (1, 2, 4, 8, 16)
_MAX_BLOCK, _MIN_SIDE = 128, 32
_MIN_GRADIENT = 0.01  # of the range [0, 1]: blocks without edges say nothing about blur
_LUMINANCE = (0.299, 0.587, 0.114)

# log2(1 + length) as a quadratic function of the four ratios: constant, linear, quadratic terms.
# Least squares over the blocks of 37 sharp frames of DAVIS and REDS, each blurred seven times along
# lines of 0 to 40 px with noise of 0 to 2 levels; mean absolute residual 0.78.
_CONSTANT = 27.22
_LINEAR = (-21.63, -24.92, -6.94, -4.75)
_QUADRATIC = (11.91, 11.71, 5.33, 1.67)
_RANGE = (0.5, 1.05)  # of the ratios that the fit has seen


def estimate_blur(images: Tensor) -> Tensor:
    """Estimate the length of the blur.

    Natural images have about the same mean gradient at every scale. A blur of length L takes away
    the gradient along its direction at the scales finer than L, so the ratios of gradients between
    neighbouring scales, in the direction where they are smallest, give the length. The estimate is
    a mean over blocks, weighted by their gradient; flat blocks do not count. Out-of-focus and
    enlarged images count as blurred, too, and strong noise hides blur.

    Args:
        images: (B, 3, H, W), RGB in [0, 1].

    Returns:
        (B,) lengths in pixels; 0 for images without edges, or below 32 pixels high or wide.

    Example:
        >>> estimate_blur(torch.zeros(2, 3, 64, 64)).tolist()  # no edges
        [0.0, 0.0]
    """
    side = min(images.shape[-2:])
    if side < _MIN_SIDE:
        return images.new_zeros(len(images))
    block = min(_MAX_BLOCK, side // 2 // _SCALES[-1] * _SCALES[-1])
    weights = torch.tensor(_LUMINANCE, dtype=images.dtype, device=images.device)
    grey = (images * weights[:, None, None]).sum(1, keepdim=True)
    means = [
        F.avg_pool2d(_gradients(F.avg_pool2d(grey, scale)), block // scale) for scale in _SCALES
    ]
    height, width = (min(each.shape[axis] for each in means) for axis in (2, 3))
    gradients = torch.stack([each[..., :height, :width] for each in means], 1)
    ratios = (gradients[:, :-1] / gradients[:, 1:].clamp(min=1e-6)).amin(2).clamp(*_RANGE)
    linear, quadratic = (ratios.new_tensor(each)[:, None, None] for each in (_LINEAR, _QUADRATIC))
    logarithms = (_CONSTANT + (linear * ratios + quadratic * ratios**2).sum(1)).clamp(min=0)
    strength = gradients[:, 3].mean(1)
    strength = torch.where(strength > _MIN_GRADIENT, strength, 0)
    total = strength.sum((1, 2))
    mean = (logarithms * strength).sum((1, 2)) / total.clamp(min=1e-12)
    return torch.where(total > 0, 2**mean - 1, 0)


def _gradients(grey: Tensor) -> Tensor:
    """Absolute differences (B, 4, H, W) along rows, columns and both diagonals, per pixel."""
    padded = F.pad(grey, (1, 1, 0, 1), mode="replicate")
    here = padded[..., :-1, 1:-1]
    right, below = padded[..., :-1, 2:], padded[..., 1:, 1:-1]
    diagonals = (padded[..., 1:, 2:], padded[..., 1:, :-2])
    differences = [right - here, below - here, *((each - here) / 2**0.5 for each in diagonals)]
    return torch.cat(differences, 1).abs()
