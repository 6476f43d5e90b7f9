"""The blur that a flow implies (Section III-A): blur kernels, and blurring a sharp frame with them.

While the shutter is open, a point moves along its flow and leaves a trail; the trail, weighted by
time, is the blur kernel of the pixel (Eq. 4). Two choices differ from the paper's text, as they do
in the field's data sets: the sharp frame belongs to the **middle** of the exposure, so that a trail
reaches to both sides of its pixel, and light is averaged before gamma is applied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from flowdeblur.blur.exposure import Times, average, midpoints
from flowdeblur.blur.light import GAMMA
from flowdeblur.ops.warp import inside

_STEPS_A_PIXEL = 8
"""Instants per pixel of motion in a kernel: a tent is then integrated to within 0.2 %."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Motion of points to and from the middle of the exposure.

    Attributes:
        before: (..., 2, H, W), or (N, 2) for single points: (dx, dy) in pixels from the middle of
            the current exposure to the middle of the previous frame's.
        after: the same to the next frame's.
    """

    before: Tensor
    after: Tensor

    @classmethod
    def of_flows(cls, flow: Tensor, directions: Sequence[int]) -> Self:
        """Join flows to neighbours.

        Args:
            flow: (B, 2 N, H, W) in pixels, to N neighbours.
            directions: for each of them -1 if it precedes the current frame, 1 if it follows;
                0 counts as 1. With neighbours on one side only, the motion is assumed to be
                straight and uniform.
        """
        arms = {
            (sign or 1): part
            for sign, part in zip(directions, torch.split(flow, 2, dim=1), strict=True)
        }
        after = arms[1] if 1 in arms else -arms[-1]
        return cls(arms.get(-1, -after), after)

    def at(self, time: float) -> Tensor:
        """The displacement at ``time``, in frame intervals from the middle of the exposure."""
        return time * self.after if time >= 0 else -time * self.before

    def ends(self, duty_cycle: float) -> tuple[Tensor, Tensor]:
        """Displacements at the start and at the end of the exposure."""
        return self.at(-duty_cycle / 2), self.at(duty_cycle / 2)

    def points(self, y: Tensor, x: Tensor) -> Self:
        """The trails of single pixels of the first frame: rows and columns (N,) -> (N, 2) each."""
        return type(self)(self.before[0][:, y, x].T, self.after[0][:, y, x].T)

    def length_px(self, duty_cycle: float) -> Tensor:
        """Length of the trail in one exposure, without the axis of (dx, dy)."""
        axis = -1 if self.after.ndim == 2 else -3
        start, end = self.ends(duty_cycle)
        length: Tensor = start.norm(dim=axis) + end.norm(dim=axis)
        return length


def blur_kernels(trail: Trail, duty_cycle: float) -> Tensor:
    """Rasterise the blur kernels of single points.

    The trail is spread bilinearly over the pixels around it, as the light of a point would be: a
    trail along a row is as wide as its row, no motion is 1 in the middle.

    Args:
        trail: of N points.
        duty_cycle: exposure / frame interval, in [0, 1].

    Returns:
        (N, K, K), each of sum 1, K odd and large enough for all; x to the right, y down. The blurry
        frame is the **convolution** of the sharp one with them.

    Example:
        >>> trail = Trail(before=torch.tensor([[-4.0, 0.0]]), after=torch.tensor([[4.0, 0.0]]))
        >>> kernel = blur_kernels(trail, duty_cycle=0.5)[0]  # a line of 2 pixels along the row
        >>> kernel.shape, round(kernel.sum().item(), 3), round(kernel[1].sum().item(), 3)
        (torch.Size([3, 3]), 1.0, 1.0)
    """
    ends = torch.stack(trail.ends(duty_cycle))
    reach = math.ceil(float(ends.abs().max()) - 1e-4) if ends.numel() else 0
    size = 2 * reach + 1
    kernels = torch.zeros(len(trail.after), size * size, dtype=trail.after.dtype)
    times = midpoints(duty_cycle, _STEPS_A_PIXEL * size, limit=None)
    for time in times:
        x, y = (trail.at(float(time)) + reach).unbind(-1)
        left, top = x.floor(), y.floor()
        for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs()) / len(times)
            # A column or row beyond the last has no weight.
            place = row.clamp(0, size - 1) * size + column.clamp(0, size - 1)
            kernels.scatter_add_(1, place.long()[:, None], weight[:, None])
    return kernels.view(-1, size, size)


def reblur(image: Tensor, trail: Trail, duty_cycle: float, *, gamma: float = GAMMA) -> Tensor:
    """Blur a sharp frame along trails: the paper's Eq. 1, about the middle of the exposure.

    Args:
        image: (B, 3, H, W) in [0, 1], the middle of the exposure.
        trail: of its pixels, (B, 2, H, W) each.
        duty_cycle: exposure / frame interval, in [0, 1].
        gamma: display value = light ^ (1 / gamma); light is what is averaged. 1 averages values.

    Returns:
        (B, 3, H, W) in [0, 1]. Trails that leave the frame see its outermost pixels.

    Example:
        >>> image = torch.zeros(1, 3, 1, 5)
        >>> image[..., 2] = 1
        >>> flow = torch.zeros(1, 2, 1, 5)
        >>> flow[:, 0] = 3
        >>> blurry = reblur(image, Trail(before=-flow, after=flow), duty_cycle=1.0, gamma=1.0)
        >>> [round(each, 1) for each in blurry[0, 0, 0].tolist()]
        [0.0, 0.3, 0.3, 0.3, 0.0]
    """
    light = image.clamp(0, 1) ** gamma
    height, width = image.shape[-2:]
    x = torch.arange(width, device=image.device, dtype=image.dtype)
    y = torch.arange(height, device=image.device, dtype=image.dtype)

    def view(times: Times) -> Tensor:
        # What is at the pixel at this instant was, or will be, this far off in mid-exposure.
        offset = trail.at(float(times[0]))
        columns, rows = x - offset[:, 0], y[:, None] - offset[:, 1]
        grid = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), dim=-1)
        return F.grid_sample(light, grid, padding_mode="border", align_corners=False)[None]

    longest = float(trail.length_px(duty_cycle).max())
    return average(view, midpoints(duty_cycle, 2 * longest, limit=None)) ** (1 / gamma)


def trail_inside(trail: Trail, duty_cycle: float) -> Tensor:
    """Pixels that see nothing from outside the frame: (B, 1, H, W) bool."""
    start, end = trail.ends(duty_cycle)
    return inside(-start) & inside(-end)


def trail_distance(one: Trail, other: Trail, duty_cycle: float) -> Tensor:
    """Mean distance (pixels) between the ends of two trails, without the axis of (dx, dy).

    Which end is the start does not matter: the blur is the same.

    Example:
        >>> one = Trail(before=torch.tensor([[-2.0, 0.0]]), after=torch.tensor([[2.0, 0.0]]))
        >>> reversed_ = Trail(before=one.after, after=one.before)
        >>> trail_distance(one, reversed_, duty_cycle=1.0).item()
        0.0
    """
    axis = -1 if one.after.ndim == 2 else -3
    (a, b), (c, d) = one.ends(duty_cycle), other.ends(duty_cycle)
    same = (a - c).norm(dim=axis) + (b - d).norm(dim=axis)
    swapped = (a - d).norm(dim=axis) + (b - c).norm(dim=axis)
    return torch.minimum(same, swapped) / 2
