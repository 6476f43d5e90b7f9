"""Rendering of a scene: blurry and sharp frames, and the true flow.

The blur model is the paper's (Section III-A) with one difference, as in the field's data sets: the
sharp frame and the flow belong to the **middle** of the exposure. Frame k is exposed from k - r/2
to k + r/2, in frame intervals, where r is the duty cycle.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.blur.exposure import average, midpoints
from flowdeblur.scenes.scene import Layer, Scene

PIXELS_AT_ONCE = 2**18
"""Pixels rendered in one call, 10 instants of 160 x 160: bounds the memory."""


def expose(scene: Scene, frame: int) -> Tensor:
    """Integrate a frame over its exposure, by the midpoint rule.

    There is about one instant per pixel of motion, so that the blur is smooth.

    Returns:
        (3, H, W) float32, linear light without noise.
    """
    start, end = frame - scene.duty_cycle / 2, frame + scene.duty_cycle / 2
    times = frame + midpoints(scene.duty_cycle, _travel_px(scene, start, end))
    at_once = max(PIXELS_AT_ONCE // (scene.size[0] * scene.size[1]), 1)
    return average(lambda some: view(scene, some), times, at_once=at_once)


def view(scene: Scene, times: NDArray[np.float64]) -> Tensor:
    """Render the scene at ``times`` (N,): (N, 3, H, W) float32 linear light."""
    light = _seen(scene, scene.layers[0], scene.layers[0].light, times)
    for layer in scene.layers[1:]:
        painted = _seen(scene, layer, layer.premultiplied, times)
        light = painted[:, :3] + (1 - painted[:, 3:]) * light
    return light


def true_flow(scene: Scene, neighbour: int) -> tuple[Tensor, Tensor]:
    """Follow every pixel from the middle of frame 0's exposure to the middle of a neighbour's.

    A pixel belongs to the front-most layer that covers it by half or more.

    Returns:
        flow (2, H, W) float32, (dx, dy) in pixels, and visible (H, W) bool, false where a nearer
        layer covers the point in the neighbour by half or more, or where it is outside the centers
        of the neighbour's outermost pixels.
    """
    height, width = scene.size
    now, then = np.zeros(1), np.full(1, float(neighbour))
    pixels = torch.stack(torch.meshgrid(_centers(width), _centers(height), indexing="xy"), -1)
    front = torch.zeros(height, width, dtype=torch.int64)
    targets = []
    for number, layer in enumerate(scene.layers):
        if layer.opacity is not None:
            front[_seen(scene, layer, layer.opacity, now)[0, 0] >= 0.5] = number
        moved = scene.placements(layer, then)[0] @ np.linalg.inv(scene.placements(layer, now)[0])
        targets.append(_transform(moved, pixels))
    target = torch.stack(targets).take_along_dim(front[None, :, :, None], 0)[0]
    edge = torch.tensor((width - 1, height - 1)) / 2
    visible = (target.abs() <= edge).all(-1)
    for number, layer in enumerate(scene.layers):
        if layer.opacity is not None:
            on_layer = _transform(np.linalg.inv(scene.placements(layer, then)[0]), target)
            grid = (on_layer / torch.tensor(layer.half_extent_px)).float()[None]
            covered = F.grid_sample(layer.opacity[None], grid, align_corners=False)[0, 0] >= 0.5
            visible &= ~(covered & (front < number))
    return (target - pixels).permute(2, 0, 1).float(), visible


def _seen(scene: Scene, layer: Layer, texture: Tensor, times: NDArray[np.float64]) -> Tensor:
    """Sample a layer's texture (C, h, w) where the pixels see it: (N, C, H, W), 0 outside objects.

    Like :func:`torch.nn.functional.affine_grid`, in a quarter of the time: the positions of a row
    and those of a column are added.
    """
    height, width = scene.size
    # grid_sample's -1 and 1 are the outer edges of the texture, with align_corners=False.
    unit = np.diag((*layer.half_extent_px, 1.0))
    onto = torch.from_numpy(np.linalg.inv(scene.placements(layer, times) @ unit)).float()
    x, y = _centers(width).float(), _centers(height).float()
    columns = x[:, None] * onto[:, None, :2, 0] + onto[:, None, :2, 2]
    rows = y[:, None] * onto[:, None, :2, 1]
    grid = rows[:, :, None] + columns[:, None]
    padding = "reflection" if layer.opacity is None else "zeros"
    many = texture.expand(len(times), *texture.shape)
    return F.grid_sample(many, grid, padding_mode=padding, align_corners=False)


def _travel_px(scene: Scene, start: float, end: float) -> float:
    """Return the longest path of any layer's corner between two times, through the middle one."""
    longest = 0.0
    for layer in scene.layers:
        x, y = layer.half_extent_px
        corners = np.array([[-x, x, -x, x], [-y, -y, y, y], [1, 1, 1, 1]])
        places = scene.placements(layer, np.array((start, (start + end) / 2, end))) @ corners
        steps = np.linalg.norm(np.diff(places[:, :2], axis=0), axis=1)
        longest = max(longest, float(steps.sum(0).max()))
    return longest


def _centers(count: int) -> Tensor:
    """Return the centers of ``count`` pixels in a row from the middle of the row, float64."""
    return torch.arange(count, dtype=torch.float64) - (count - 1) / 2


def _transform(matrix: NDArray[np.float64], points: Tensor) -> Tensor:
    """Apply a homogeneous transform (3, 3) to points (H, W, 2)."""
    return points @ torch.from_numpy(matrix[:2, :2].T.copy()) + torch.from_numpy(matrix[:2, 2])
