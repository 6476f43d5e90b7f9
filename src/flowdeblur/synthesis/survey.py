"""A first look at a sharp clip: where it moves, how fast, and how sharp its frames are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.extras import import_extra

GRID = 16
"""Speeds and brightness are kept for one pixel in so many, in each direction."""

_LINES = 360
_SCALES = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class Survey:
    """What was measured on a clip of N frames.

    Attributes:
        size: (H, W) of its frames.
        speeds: (N - 1, h, w), pixels that points move to the next frame, on the grid.
        brightness: (N, h, w), gray values on the grid.
        sharpness: (N, 3), see :func:`sharpness`, at full, half and quarter size.
    """

    size: tuple[int, int]
    speeds: NDArray[np.float16]
    brightness: NDArray[np.uint8]
    sharpness: NDArray[np.float64]

    @classmethod
    def of(cls, frames: Iterable[NDArray[np.uint8]]) -> Self:
        """Measure frames (H, W, 3), of which there are at least two.

        Raises:
            UserError: OpenCV is missing, or a frame is damaged.
        """
        cv2 = import_extra("cv2", "synthesis")
        search = DenseInverseSearch(fast=True)
        speeds, brightness, sharp = [], [], []
        size, previous = (0, 0), None
        for frame in frames:
            size = (frame.shape[0], frame.shape[1])
            scale = min(1.0, _LINES / min(size))
            small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            grid = (math.ceil(size[1] / GRID), math.ceil(size[0] / GRID))
            brightness.append(cv2.resize(gray, grid, interpolation=cv2.INTER_AREA))
            sharp.append([sharpness(_shrunk(cv2, gray, each)) for each in _SCALES])
            if previous is not None:
                speed = np.hypot(*search(previous, small).numpy()) / scale
                speeds.append(cv2.resize(speed, grid, interpolation=cv2.INTER_AREA))
            previous = small
        return cls(
            size,
            np.array(speeds, dtype=np.float16),
            np.array(brightness, dtype=np.uint8),
            np.array(sharp),
        )

    def sharpness_at(self, frame: int, scale: float) -> float:
        """Sharpness of a frame that is shrunk by ``scale``, interpolated."""
        measured = self.sharpness[frame][::-1]
        return float(np.interp(math.log(scale), np.log(_SCALES[::-1]), measured))


def sharpness(gray: NDArray[np.uint8]) -> float:
    """How much detail of single pixels an image holds, in the direction in which it holds least.

    Mean squared difference of neighbouring pixels, divided by that of pixels twice as large. It
    hardly depends on what is shown: edges give about 0.5 and fine texture up to 1; motion blur over
    several pixels gives 0.25 to 0.45 across its direction.

    Args:
        gray: (H, W).
    """
    height, width = (extent // 2 * 2 for extent in gray.shape)
    fine = gray[:height, :width].astype(np.float32)
    coarse: NDArray[np.float32] = (
        fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]
    ) / np.float32(4)
    return min(_energy(fine, axis) / max(_energy(coarse, axis), 1e-3) for axis in (0, 1))


def _energy(image: NDArray[np.float32], axis: int) -> float:
    """Mean squared difference of neighbours along an axis."""
    steps = np.diff(image, axis=axis).ravel()
    return float(np.dot(steps, steps)) / steps.size


def _shrunk(cv2: Any, gray: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1:
        return gray
    small: NDArray[np.uint8] = cv2.resize(
        gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    return small
