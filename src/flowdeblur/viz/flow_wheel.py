"""Flow as colours: hue says where to, saturation how far."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def flow_to_rgb(flow: Tensor, max_px: float | None = None) -> Tensor:
    """Colour a flow; white is no motion.

    Red is to the right, then follow yellow, green and blue clockwise as on the screen.

    Args:
        flow: (B, 2, H, W) in pixels.
        max_px: length that is fully saturated; None takes the longest vector of each flow, at least
            one pixel.

    Returns:
        (B, 3, H, W), RGB in [0, 1].
    """
    dx, dy = flow[:, 0], flow[:, 1]
    length = torch.hypot(dx, dy)
    reach = length.amax((1, 2), keepdim=True).clamp(min=1) if max_px is None else max_px
    saturation = (length / reach).clamp(max=1)
    hue = torch.atan2(dy, dx) / (2 * math.pi) % 1 * 6
    # HSV with value 1: each channel falls from 1 to 1 - saturation away from its own hue.
    ramps = torch.stack(
        [((hue - centre + 3) % 6 - 3).abs().sub(1).clamp(0, 1) for centre in (0, 2, 4)], dim=1
    )
    return 1 - saturation.unsqueeze(1) * ramps
