"""Backward warping, and the one statement of what a flow means in this project.

A flow is a tensor (B, 2, H, W) in pixels of its own scale, channel 0 = dx (to the right), channel 1
= dy (down), **from the current frame to the other frame**: what is seen at (x, y) in the current
frame is seen at (x + dx, y + dy) in the other frame. Sampling the other frame there brings it
back onto the current frame.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def inside(flow: Tensor) -> Tensor:
    """Mark the pixels that a flow keeps inside the image.

    Args:
        flow: (B, 2, H, W) in pixels.

    Returns:
        (B, 1, H, W) bool, true where 0 <= x + dx < W and 0 <= y + dy < H, the rule of the paper's
        released code.

    Example:
        >>> flow = torch.zeros(1, 2, 1, 3)
        >>> flow[:, 0] = 1  # one pixel to the right
        >>> inside(flow)[0, 0, 0].tolist()
        [True, True, False]
    """
    x, y = _targets(flow)
    height, width = flow.shape[-2:]
    return ((x >= 0) & (x < width) & (y >= 0) & (y < height)).unsqueeze(1)


def backward_warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample ``image`` bilinearly at (x + dx, y + dy).

    Pixels whose target is outside the image (see :func:`inside`) are 0. Between the last column
    W - 1 and W (or the last row) the missing neighbour is the last one, as in the paper's released
    code.

    Args:
        image: (B, C, H, W), the frame that the flow leads to.
        flow: (B, 2, H, W) in pixels, from the frame to be approximated to ``image``.

    Returns:
        (B, C, H, W), ``image`` brought onto the grid of the flow.

    Raises:
        ValueError: the shapes do not belong together.

    Example:
        >>> image = torch.tensor([[[[1.0, 2.0, 3.0]]]])
        >>> flow = torch.zeros(1, 2, 1, 3)
        >>> flow[:, 0] = 1  # what is at x here is at x + 1 there
        >>> backward_warp(image, flow)[0, 0, 0].tolist()
        [2.0, 3.0, 0.0]
    """
    if image.ndim != 4 or flow.shape != (image.shape[0], 2, *image.shape[-2:]):
        raise ValueError(
            f"backward_warp wants an image (B, C, H, W) and a flow (B, 2, H, W), "
            f"got {tuple(image.shape)} and {tuple(flow.shape)}"
        )
    x, y = _targets(flow)
    height, width = flow.shape[-2:]
    # grid_sample's -1 and 1 are the centres of the first and last pixel (align_corners=True). A
    # line of one pixel has no extent there: any divisor will do, because the border is clamped.
    grid = torch.stack((2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1), dim=-1)
    sampled = F.grid_sample(
        image, grid.to(image.dtype), mode="bilinear", padding_mode="border", align_corners=True
    )
    return sampled * inside(flow)


def _targets(flow: Tensor) -> tuple[Tensor, Tensor]:
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype)
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)
    return x + flow[:, 0], y[:, None] + flow[:, 1]
