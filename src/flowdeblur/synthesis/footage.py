"""A sharp video as linear light at any time, with a few frames in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.blur.degradation import expand_highlights
from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.blur.exposure import Times
from flowdeblur.blur.light import ResponseCurve
from flowdeblur.synthesis.interpolation import Pair

SPEED_STEP = 4
"""Speeds are kept for every fourth pixel in a row and column."""


@dataclass(frozen=True)
class Still:
    """One frame of the footage.

    Attributes:
        light: (3, H, W) float32, linear; above 1 where highlights were expanded.
        image: (H, W, 3) uint8, the same as the camera shows it, with clipped highlights.
    """

    light: Tensor
    image: NDArray[np.uint8]


class FrameMotion:
    """Motion between a frame and the next; each flow is estimated once, when it is needed."""

    def __init__(self, first: Still, second: Still, search: DenseInverseSearch) -> None:
        self._first, self._second, self._search = first, second, search

    @cached_property
    def forward(self) -> Tensor:
        """(2, H, W), flow from the first frame to the second, in pixels."""
        return self._search(self._first.image, self._second.image)

    @cached_property
    def between(self) -> Pair:
        """The instants between the frames."""
        backward = self._search(self._second.image, self._first.image)
        return Pair(self._first.light, self._second.light, self.forward, backward)

    @cached_property
    def speeds(self) -> NDArray[np.float32]:
        """How far pixels move, for every fourth in a row and column."""
        speeds: NDArray[np.float32] = (
            self.forward[:, ::SPEED_STEP, ::SPEED_STEP].norm(dim=0).numpy()
        )
        return speeds


class Footage:
    """Reads a video forwards and keeps the frames around the exposure in memory.

    Args:
        frames: the sharp frames, (H, W, 3) uint8, from the first one.
        curve: response of the camera.
        scale: factor by which frames are shrunk, in linear light.
        search: estimates the flow; None for footage that is seen only at whole frames.
        highlight_gain: see :func:`~flowdeblur.blur.degradation.expand_highlights`.
    """

    def __init__(
        self,
        frames: Iterable[NDArray[np.uint8]],
        curve: ResponseCurve,
        scale: float,
        search: DenseInverseSearch | None,
        highlight_gain: float = 1.0,
    ) -> None:
        self._frames: Iterator[tuple[int, NDArray[np.uint8]]] = enumerate(frames)
        self._curve, self._scale, self._search = curve, scale, search
        self._highlight_gain = highlight_gain
        self._stills: dict[int, Still] = {}
        self._motions: dict[int, FrameMotion] = {}

    @property
    def interpolates(self) -> bool:
        """Whether instants between frames can be seen."""
        return self._search is not None

    def advance_to(self, first: int, last: int) -> None:
        """Read up to frame ``last`` and drop those before ``first``; never goes back."""
        for number in [each for each in self._stills if each < first]:
            del self._stills[number]
        for number in [each for each in self._motions if each < first]:
            del self._motions[number]
        while last not in self._stills:
            number, image = next(self._frames)
            if number >= first:
                self._stills[number] = self._still(image)

    def still(self, number: int) -> Still:
        """A frame in memory."""
        return self._stills[number]

    def motion(self, number: int) -> FrameMotion:
        """Motion from the frame ``number`` to the next."""
        assert self._search is not None
        if number not in self._motions:
            self._motions[number] = FrameMotion(
                self._stills[number], self._stills[number + 1], self._search
            )
        return self._motions[number]

    def at(self, times: Times) -> Tensor:
        """Return the light (1, 3, H, W) at one time, in frames from the first one."""
        (time,) = times
        number = math.floor(time)
        if time == number:
            return self._stills[number].light[None]
        return self.motion(number).between.at(time - number)[None]

    def _still(self, image: NDArray[np.uint8]) -> Still:
        light = self._curve.to_light(image)
        if self._scale != 1:
            light = shrink(light, self._scale)
        if self._highlight_gain > 1:
            light = expand_highlights(light, self._highlight_gain)
        if self._scale != 1 or self._highlight_gain > 1:
            image = self._curve.to_values(light)
        return Still(light, image)


def shrink(light: Tensor, scale: float) -> Tensor:
    """Shrink light (3, H, W) by an antialiased bicubic filter."""
    size = [max(round(scale * extent), 1) for extent in light.shape[-2:]]
    small: Tensor = F.interpolate(light[None], size, mode="bicubic", antialias=True)[0]
    return small.clamp(0, 1)
