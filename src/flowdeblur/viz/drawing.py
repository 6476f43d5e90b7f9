"""Drawings of motion: arrows and blur kernels on a grid, RNN weights as maps, differences."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from flowdeblur.blur.kernels import Trail, blur_kernels
from flowdeblur.viz.flow_wheel import flow_to_rgb
from flowdeblur.viz.panels import panel, to_bytes

Drawn = NDArray[np.uint8]
"""(H, W, 3) RGB."""

DIRECTIONS = ("left > right", "right > left", "top > bottom", "bottom > top")
"""Order of the RNN's four sweeps in the channels of its weights."""

_ROWS_OF_CELLS = 18
_MIN_CELL_PX = 16
_FACTOR = 3  # Pillow's lines are jagged: they are drawn larger by this factor and reduced
_DARKENED = 0.55
_KERNEL_COLOUR = np.array((255, 190, 40), np.float32)

_HEAT = np.array(
    [(8, 8, 24), (74, 20, 110), (180, 50, 90), (245, 130, 40), (252, 250, 180)], np.float32
)


class Magnified(NamedTuple):
    """A drawing, and the factor by which motion is enlarged in it."""

    image: Drawn
    times: float


def draw_flow(flow: Tensor, max_px: float | None = None) -> Magnified:
    """Colour a flow and draw arrows over it, each in the middle of its cell.

    Args:
        flow: (2, H, W) in pixels.
        max_px: length that is drawn fully saturated, as an arrow of almost a cell; None for the
            longest vector, at least a pixel.
    """
    _, height, width = flow.shape
    y, x, cell = _grid(height, width)
    vectors = flow[:, y, x].T.cpu()
    times = 0.9 * cell / (max_px or max(float(flow.norm(dim=0).max()), 1.0))
    canvas = Image.fromarray(to_bytes(flow_to_rgb(flow[None], max_px))[0])
    canvas = canvas.resize((width * _FACTOR, height * _FACTOR), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(canvas)
    for row, column, vector in zip(y.tolist(), x.tolist(), vectors, strict=True):
        _arrow(
            draw, _FACTOR * np.array((column + 0.5, row + 0.5)), _FACTOR * times * vector.numpy()
        )
    return Magnified(np.asarray(canvas.resize((width, height), Image.Resampling.BOX)), times)


def draw_kernels(image: Tensor, trail: Trail, duty_cycle: float, room_px: float = 0) -> Magnified:
    """Draw the blur kernels of a grid of pixels over the darkened frame (Fig. 5).

    Each is shown in the middle of a cell, all enlarged by the same whole factor of at least 2; the
    brightest pixel of each has the same brightness.

    Args:
        image: (3, H, W) in [0, 1].
        trail: of its pixels, (1, 2, H, W) each.
        duty_cycle: exposure / frame interval, in [0, 1].
        room_px: length of a trail to leave room for, so that several drawings have the same cells.
    """
    _, height, width = image.shape
    size = blur_kernels(trail.points(*_grid(height, width)[:2]), duty_cycle).shape[-1]
    size = max(size, 2 * math.ceil(room_px / 2) + 1)
    y, x, cell = _grid(height, width, 2 * size + 2)
    kernels = blur_kernels(trail.points(y, x), duty_cycle).cpu()
    times = max((cell - 2) // max(size, kernels.shape[-1]), 1)
    size = kernels.shape[-1]
    stamps = (kernels / kernels.amax((1, 2), keepdim=True)).repeat_interleave(times, 1)
    stamps = stamps.repeat_interleave(times, 2)
    reach = size * times // 2
    cover = torch.zeros(height + 2 * reach + 1, width + 2 * reach + 1)
    for row, column, stamp in zip(y.tolist(), x.tolist(), stamps, strict=True):
        part = cover[row : row + size * times, column : column + size * times]
        torch.maximum(part, stamp, out=part)
    alpha = cover[reach : reach + height, reach : reach + width, None].numpy()
    grey = np.asarray(to_bytes(image[None])[0], np.float32).mean(2, keepdims=True)
    drawn = (1 - alpha) * _DARKENED * grey + alpha * _KERNEL_COLOUR
    return Magnified(drawn.round().astype(np.uint8), float(times))


def draw_rnn_weights(rnn_weights: tuple[Tensor, ...], size: tuple[int, int]) -> tuple[Drawn, float]:
    """Draw the mean absolute RNN weight over channels, by direction and scale.

    Args:
        rnn_weights: coarse to fine, each (1, 4 C, h, w) in (-1, 1), of the padded frame.
        size: (H, W) of the frame.

    Returns:
        A column for each direction and a row for each scale, fine to coarse; and the value drawn
        brightest.
    """
    height, width = size
    shrink = min(1.0, 360 / width)
    shown = (max(round(height * shrink), 1), max(round(width * shrink), 1))
    rows, notes = [], []
    for weights in reversed(rnn_weights):
        scale = round(-(-height // 64) * 64 / weights.shape[-2])
        maps = weights[0].abs().view(4, -1, *weights.shape[-2:]).mean(1)
        maps = maps[:, : -(-height // scale), : -(-width // scale)]
        notes.append(f"1/{scale}: mean {float(maps.mean()):.2f}, largest {float(maps.max()):.2f}")
        rows.append(F.interpolate(maps[None], shown, mode="area")[0])
    stacked = torch.stack(rows)
    brightest = max(float(stacked.max()), 1e-6)
    columns = {name: _heat(stacked[:, i] / brightest) for i, name in enumerate(DIRECTIONS)}
    return panel(columns, len(rows), notes), brightest


def draw_difference(image: Tensor, other: Tensor) -> tuple[Drawn, float]:
    """Draw ``other - image`` around mid-grey: brighter where ``other`` is.

    Args:
        image: (3, H, W) in [0, 1].
        other: the same.

    Returns:
        The drawing, and its amplification: a power of two from 1 to 16 that
        clips at most one value in a hundred.
    """
    difference = (other - image).cpu()
    values = difference.abs().flatten()
    common = float(values.kthvalue(max(round(0.99 * len(values)), 1)).values)
    times = next((each for each in (16, 8, 4, 2) if each * common <= 0.5), 1)
    return to_bytes(0.5 + times * difference[None])[0], float(times)


def draw_flow_key(size: int = 96) -> Drawn:
    """Draw the key to the colours of a flow: the middle is no motion."""
    line = torch.linspace(-1, 1, size)
    flow = torch.stack(torch.meshgrid(line, line, indexing="xy"))
    colours = flow_to_rgb(flow[None], 1.0)[0]
    disc = torch.where(flow.norm(dim=0) <= 1, colours, torch.ones(()))
    key: Drawn = to_bytes(disc[None])[0]
    return key


def _grid(height: int, width: int, min_cell: int = 0) -> tuple[Tensor, Tensor, int]:
    """Rows and columns (N,) of the middles of square cells that fill the frame, and their side."""
    cell = max(_MIN_CELL_PX, min(height, width) // _ROWS_OF_CELLS, min_cell)
    lines = []
    for extent in (height, width):
        count = max(extent // cell, 1)
        lines.append(((torch.arange(count) + 0.5) * extent / count).long())
    y, x = torch.meshgrid(*lines, indexing="ij")
    return y.flatten(), x.flatten(), cell


def _arrow(
    draw: ImageDraw.ImageDraw, tail: NDArray[np.float64], vector: NDArray[np.float64]
) -> None:
    length = float(np.hypot(*vector))
    black, width = (0, 0, 0), _FACTOR
    if length < 2 * _FACTOR:  # shorter than its head: a dot
        draw.ellipse((*(tail - _FACTOR / 2), *(tail + _FACTOR / 2)), fill=black)
        return
    along = vector / length
    across = np.array((-along[1], along[0]))
    head = min(4.0 * _FACTOR, 0.45 * length)
    tip, neck = tail + vector, tail + vector - head * along
    draw.line((*tail, *neck), fill=black, width=width)
    draw.polygon(
        [tuple(tip), *(tuple(neck + side * 0.5 * head * across) for side in (-1, 1))], black
    )


def _heat(values: Tensor) -> Tensor:
    """Colour (B, h, w) in [0, 1] from dark blue over red to light yellow: (B, 3, h, w)."""
    stops = np.linspace(0, 1, len(_HEAT))
    at = values.detach().cpu().numpy()
    channels = [np.interp(at, stops, _HEAT[:, channel] / 255) for channel in range(3)]
    return torch.from_numpy(np.stack(channels, 1)).float()
