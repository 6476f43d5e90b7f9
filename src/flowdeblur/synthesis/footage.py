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

from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.blur.light import ResponseCurve
from flowdeblur.synthesis.interpolation import Pair


@dataclass(frozen=True)
class Still:
    """One frame of the footage.

    Attributes:
        light: (3, H, W) float32, linear.
        image: (H, W, 3) uint8, the same as values.
    """

    light: Tensor
    image: NDArray[np.uint8]


class Motion:
    """What happens between a frame and the next."""

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
        """How far pixels move, every fourth in a row and column."""
        speeds: NDArray[np.float32] = self.forward[:, ::4, ::4].norm(dim=0).numpy()
        return speeds


class Footage:
    """Reads a video forwards, and keeps the frames around the exposure at hand.

    Args:
        frames: the sharp frames, (H, W, 3) uint8, from the first on.
        curve: response of the camera.
        scale: factor by which frames are shrunk, in linear light.
        search: estimates the flow; None for footage that is seen at whole frames only.
    """

    def __init__(
        self,
        frames: Iterable[NDArray[np.uint8]],
        curve: ResponseCurve,
        scale: float,
        search: DenseInverseSearch | None,
    ) -> None:
        self._frames: Iterator[tuple[int, NDArray[np.uint8]]] = enumerate(frames)
        self._curve, self._scale, self._search = curve, scale, search
        self._stills: dict[int, Still] = {}
        self._motions: dict[int, Motion] = {}

    @property
    def interpolates(self) -> bool:
        """Whether instants between frames can be seen."""
        return self._search is not None

    def wind(self, first: int, last: int) -> None:
        """Get the frames ``first`` .. ``last``, and forget those before; never goes back."""
        for kept in (self._stills, self._motions):
            for number in [each for each in kept if each < first]:
                del kept[number]
        while last not in self._stills:
            number, image = next(self._frames)
            if number >= first:
                self._stills[number] = self._still(image)

    def still(self, number: int) -> Still:
        """A frame at hand."""
        return self._stills[number]

    def motion(self, number: int) -> Motion:
        """From the frame ``number`` to the next."""
        assert self._search is not None
        if number not in self._motions:
            self._motions[number] = Motion(
                self._stills[number], self._stills[number + 1], self._search
            )
        return self._motions[number]

    def at(self, time: float) -> Tensor:
        """Return the light (3, H, W) at a time, in frames from the first on."""
        number = math.floor(time)
        if time == number:
            return self._stills[number].light
        return self.motion(number).between.at(time - number)

    def _still(self, image: NDArray[np.uint8]) -> Still:
        light = self._curve.to_light(image)
        if self._scale == 1:
            return Still(light, image)
        size = [max(round(self._scale * extent), 1) for extent in light.shape[-2:]]
        light = F.interpolate(light[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)
        return Still(light, self._curve.to_values(light))
