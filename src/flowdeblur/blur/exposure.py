"""The shutter: which instants of a video make up a blurry frame, and their average.

Times are counted in frames of the video. The blur model is the paper's (Section III-A), with the
sharp frame in the **middle** of the exposure, as the field's data sets have it: a frame at time c
is exposed from c - length / 2 to c + length / 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FEWEST_INSTANTS = 7
MOST_INSTANTS = 129
"""Bounds the work for a frame; beyond 129 pixels of motion in an exposure, steps begin to show."""


def centres(count: int, interval: int, length: float) -> range:
    """List the frames around which a whole exposure lies within a video.

    Args:
        count: frames of the video.
        interval: frames from one exposure to the next.
        length: frames that an exposure lasts.
    """
    reach = math.ceil(length / 2)
    return range(reach, count - reach, interval)


def instants(centre: int, length: float, motion_px: float) -> NDArray[np.float64]:
    """Divide an exposure into about one instant a pixel of motion, by the midpoint rule.

    Their number is odd, so that ``centre`` is one of them.

    Args:
        centre: the middle of the exposure.
        length: frames that it lasts.
        motion_px: pixels that the fastest point moves meanwhile.
    """
    count = min(max(math.ceil(motion_px) | 1, FEWEST_INSTANTS), MOST_INSTANTS)
    # Counted from the middle, so that its offset is 0 exactly.
    return centre + length * (np.arange(count) - count // 2) / count


def whole_frames(centre: int, length: float) -> NDArray[np.float64]:
    """The frames of an exposure: the largest odd number of them that ``length`` holds."""
    reach = (math.floor(length) - 1) // 2
    return centre + np.arange(-reach, reach + 1, dtype=np.float64)


def average(view: Callable[[float], Tensor], times: Iterable[float]) -> Tensor:
    """Average the linear light (3, H, W) that ``view`` gives for every time."""
    total, count = torch.zeros(()), 0
    for time in times:
        total, count = total + view(time), count + 1
    return total / count
