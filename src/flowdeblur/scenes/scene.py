"""A scene as plain values: textured layers that move, seen by a camera that moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.scenes.motion import STILL, Motion, draw_motion
from flowdeblur.scenes.textures import TEXELS, draw_outline, draw_texture

STANDSTILL = 0.02
"""Speed of a nearly still scene relative to others: a hand at rest, not a perfect tripod."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A flat textured object; its center is the center of its texture.

    Attributes:
        light: (3, h, w) float32 linear light, :data:`~flowdeblur.scenes.textures.TEXELS`
            samples per pixel.
        opacity: (1, h, w) float32 in [0, 1], or None for a background, which continues as in a
            mirror.
        motion: how it moves in a world whose origin is the center of the frame.
    """

    light: Tensor
    opacity: Tensor | None
    motion: Motion

    @property
    def premultiplied(self) -> Tensor:
        """Opacity times light, and opacity: (4, h, w)."""
        opacity = torch.ones_like(self.light[:1]) if self.opacity is None else self.opacity
        return torch.cat((opacity * self.light, opacity))

    @property
    def half_extent_px(self) -> tuple[float, float]:
        """Half the width and half the height, frame pixels."""
        height, width = self.light.shape[-2:]
        return width / TEXELS / 2, height / TEXELS / 2


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that is seen, and the camera.

    Attributes:
        size: (H, W) of the frames, pixels.
        layers: from back to front, the background first.
        camera: motion of the image of the world, common to all layers.
        duty_cycle: exposure / frame interval, in [0, 1].
        noise: standard deviation of the noise at white, in linear light (see
            :func:`~flowdeblur.scenes.render.add_noise`).
    """

    size: tuple[int, int]
    layers: tuple[Layer, ...]
    camera: Motion
    duty_cycle: float
    noise: float

    def placements(self, layer: Layer, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 3, 3): from a layer's points to the frame, both in pixels from the center."""
        placed: NDArray[np.float64] = self.camera.matrices(times) @ layer.motion.matrices(times)
        return placed


def draw_scene(
    random: np.random.Generator,
    *,
    photographs: Sequence[str | Path],
    size: tuple[int, int],
    motion_px: float,
    still: float,
    tripod: float,
    duty_cycle: tuple[float, float],
    noise: tuple[float, float],
    objects: tuple[int, int],
) -> Scene:
    """Draw a scene; the arguments are those of :class:`~flowdeblur.scenes.source.Scenes`.

    The scene has a pace of 0.55 to 1 times ``motion_px``. The camera moves at 0.6 to 1 times the
    pace unless it stands on a tripod. Each object moves at 0 to 0.8 times the pace relative to the
    world, so that some are sharper than what is behind them.
    """
    height, width = size
    pace_px = motion_px * random.uniform(0.3, 1) ** 0.5
    if random.random() < still:
        pace_px *= STANDSTILL
    camera_px = 0.0 if random.random() < tripod else pace_px * random.uniform(0.6, 1)
    camera = draw_motion(random, camera_px, float(np.hypot(height, width)) / 2)
    margin_px = int(np.ceil(2 * motion_px))
    texels = (TEXELS * (height + margin_px), TEXELS * (width + margin_px))
    layers = [Layer(draw_texture(random, photographs, *texels), None, Motion())]
    for _ in range(random.integers(objects[0], objects[1] + 1)):
        radius_px = min(height, width) * random.uniform(0.1, 0.35)
        place = random.uniform(-0.5, 0.5, 2) * (width, height)
        start = (float(place[0]), float(place[1]), *STILL[2:])
        opacity = draw_outline(random, radius_px)
        light = draw_texture(random, photographs, *opacity.shape[-2:])
        motion = draw_motion(random, pace_px * random.uniform(0, 0.8), radius_px, start)
        layers.append(Layer(light, opacity, motion))
    return Scene(
        size=(height, width),
        layers=tuple(layers),
        camera=camera,
        duty_cycle=float(random.uniform(*duty_cycle)),
        noise=float(random.uniform(*noise)),
    )
