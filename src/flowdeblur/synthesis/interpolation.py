"""What is seen between two frames of a video: both are moved along the flow and blended."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flowdeblur.ops.warp import inside


class Pair:
    """Two neighbouring frames, and the flow between them.

    The flow from an instant t to either frame is approximated from the flows between the frames
    (Jiang et al., Super SloMo, CVPR 2018, Eq. 4), and the frames are blended by their nearness in
    time. Where one of them would be sampled outside, the other one counts alone.

    Inverting the flow exactly, or giving less weight to a frame whose flow does not lead back, was
    tried: on scenes whose true blur is known the blurry frames did not come out better, only later.

    Args:
        first: (3, H, W) linear light at time 0.
        second: (3, H, W) linear light at time 1.
        forward: (2, H, W) flow (dx, dy) in pixels from first to second.
        backward: (2, H, W) flow from second to first.
    """

    def __init__(self, first: Tensor, second: Tensor, forward: Tensor, backward: Tensor) -> None:
        self._first, self._second = first, second
        self._forward, self._backward = forward, backward

    def at(self, time: float) -> Tensor:
        """Return (3, H, W), what is seen at ``time`` in [0, 1]."""
        if time in (0, 1):
            return self._second if time else self._first
        rest = 1 - time
        to_first = time * (time * self._backward - rest * self._forward)
        to_second = rest * (rest * self._forward - time * self._backward)
        weight_first, weight_second = rest * _inside(to_first), time * _inside(to_second)
        share = weight_second / (weight_first + weight_second)
        return torch.lerp(_sample(self._first, to_first), _sample(self._second, to_second), share)


def _inside(flow: Tensor) -> Tensor:
    """1 where a flow (2, H, W) stays inside the picture, next to 0 elsewhere: (1, H, W)."""
    return inside(flow[None])[0].to(flow.dtype).clamp(min=1e-6)


def _sample(frame: Tensor, flow: Tensor) -> Tensor:
    """Sample (3, H, W) bilinearly at (x + dx, y + dy); beyond the border the border goes on."""
    height, width = frame.shape[-2:]
    x = torch.arange(width, dtype=frame.dtype) + flow[0]
    y = torch.arange(height, dtype=frame.dtype)[:, None] + flow[1]
    grid = torch.stack((2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1), dim=-1)
    return F.grid_sample(frame[None], grid[None], padding_mode="border", align_corners=True)[0]
