"""Textures of layers: free photographs, dead leaves and random smooth outlines.

Textures have :data:`TEXELS` samples per frame pixel and are softened to what a frame can show, so
that point samples of them, at any position and between half and twice their size, neither alias nor
change in sharpness.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from flowdeblur.blur.light import GAMMA
from flowdeblur.scenes.leaves import dead_leaves
from flowdeblur.video.images import read_image

TEXELS = 2
"""Texture samples per frame pixel, in each direction."""

PHOTOGRAPHS = {
    "train": ("astronaut", "rocket", "brick", "grass"),
    "val": ("camera", "gravel"),
    "test": ("chelsea", "coffee"),
}
"""Names in :mod:`skimage.data`: in its wheel, and CC0 or in the public domain (docs/scenes.md)."""

DEAD_LEAVES_SHARE = 0.65
"""Share of the textures; the photographs are few, and a network could memorize them."""


@cache
def photograph(name: str | Path) -> Tensor:
    """Return a photograph as linear light, (3, H, W) float32; gray ones have equal channels.

    Args:
        name: in :mod:`skimage.data`, or a file.

    Raises:
        UserError: the file is not an image.
    """
    return (photograph_levels(name) ** GAMMA).contiguous()


def photograph_levels(name: str | Path) -> Tensor:
    """Return a photograph as it is displayed, (3, H, W) in [0, 1]; see :func:`photograph`."""
    image = read_image(name) if isinstance(name, Path) else getattr(skimage.data, name)()
    white = np.iinfo(image.dtype).max
    levels = torch.from_numpy(np.atleast_3d(image).astype(np.float32) / white)
    return levels.permute(2, 0, 1).expand(3, -1, -1)


def draw_texture(
    random: np.random.Generator, names: Sequence[str | Path], height: int, width: int
) -> Tensor:
    """Draw dead leaves or a piece of a photograph.

    Args:
        random: source of randomness.
        names: the photographs to choose from.
        height: rows of the texture.
        width: columns of the texture.

    Returns:
        (3, height, width) float32, linear light in [0, 1].
    """
    if random.random() < DEAD_LEAVES_SHARE:
        # Radii in frame pixels: gravel at one end, a few plain shapes at the other.
        smallest, largest = 3 ** random.random(), random.uniform(15, 60)
        texture = dead_leaves(random, height, width, TEXELS * smallest, TEXELS * largest)
    else:
        name = names[random.choice(len(names))]
        texture = _photograph_piece(random, name, height, width)
    gain = random.uniform(0.7, 1.3) * random.uniform(0.8, 1.2, 3)
    tinted = texture * torch.from_numpy(gain.astype(np.float32))[:, None, None]
    return soften(tinted.clamp(max=1))


def _photograph_piece(
    random: np.random.Generator, name: str | Path, height: int, width: int
) -> Tensor:
    """Cut a piece out at random, at 1.5 to 2.5 photograph pixels per frame pixel, possibly flipped.

    A photograph too small for that is enlarged, but not beyond its own pixels; then it repeats as
    in mirrors.
    """
    light = photograph(name)
    if random.random() < 0.5:
        light = light.flip(-1)
    fitting = min(light.shape[1] / height, light.shape[2] / width)
    scale = max(min(random.uniform(1.5, 2.5) / TEXELS, fitting), 1 / TEXELS)
    rows, columns = round(height * scale), round(width * scale)
    top = int(random.integers(max(light.shape[1] - rows, 0) + 1))
    left = int(random.integers(max(light.shape[2] - columns, 0) + 1))
    piece = light[:, _mirrored(top, rows, light.shape[1])]
    piece = piece[:, :, _mirrored(left, columns, light.shape[2])]
    sized = F.interpolate(piece[None], (height, width), mode="bicubic", antialias=True)
    return sized[0].clamp(0, 1)


def _mirrored(start: int, count: int, size: int) -> Tensor:
    """Return ``count`` indices from ``start`` on, reflected at the ends of an axis of ``size``."""
    index = torch.arange(start, start + count) % (2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def soften(texture: Tensor) -> Tensor:
    """Smooth (C, H, W) by (1, 2, 1) / 4 in both directions.

    At two texels per pixel this is about the light that a pixel of the frame collects.
    """
    padded = F.pad(texture[None], (1, 1, 1, 1), mode="replicate")[0]
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4


def draw_outline(random: np.random.Generator, radius_px: float) -> Tensor:
    """Draw the opacity of a random smooth shape with a soft edge.

    The distance of the outline from the center is a Fourier series of the direction; the edge is
    one to two frame pixels wide.

    Args:
        random: source of randomness.
        radius_px: distance from the center that the shape reaches, frame pixels.

    Returns:
        (1, S, S) float32 in [0, 1] with S = 2 TEXELS ceil(radius_px + 2).
    """
    half = TEXELS * int(np.ceil(radius_px + 2))
    line = (torch.arange(-half, half) + 0.5) / TEXELS
    turn, aspect = random.uniform(0, np.pi), random.uniform(0.5, 1)
    x = line * np.cos(turn) + line[:, None] * np.sin(turn)
    y = (line[:, None] * np.cos(turn) - line * np.sin(turn)) / aspect
    direction, distance = torch.atan2(y, x), torch.hypot(x, y)
    outline = torch.ones_like(direction)
    for order in range(2, 7):
        amplitude, phase = random.normal(0, 0.25 / order), random.uniform(0, 2 * np.pi)
        outline = outline + amplitude * torch.cos(order * direction + phase)
    outline = outline.clamp(min=0.2) * (radius_px / outline.max())
    softness_px = random.uniform(1, 2)
    return soften((0.5 + (outline - distance) * aspect / softness_px).clamp(0, 1)[None])
