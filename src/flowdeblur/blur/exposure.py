"""The exposure: which instants make up a blurry frame, and the average of their light.

This is the paper's blur model (Section III-A) with the sharp frame in the **middle** of the
exposure, as the field's data sets have it: a frame at time c is exposed from c - length / 2 to
c + length / 2. Rendered scenes, synthesis from video and re-blurring all use it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Times = NDArray[np.float64]

MIN_INSTANTS = 7
MAX_INSTANTS = 129
"""Bounds the work per frame; beyond 129 pixels of motion in an exposure, steps become visible."""


def midpoints(length: float, samples: float, *, limit: int | None = MAX_INSTANTS) -> Times:
    """Instants of an exposure around 0, by the midpoint rule.

    Args:
        length: duration of the exposure, in frames.
        samples: how many are wanted, usually one per pixel of motion; at least 7 are taken.
        limit: the largest number; None for no limit.

    Returns:
        (N,) with N odd, so that 0, the middle of the exposure, is one of them.

    >>> midpoints(0.7, 5)
    array([-0.3, -0.2, -0.1,  0. ,  0.1,  0.2,  0.3])
    """
    count = max(math.ceil(samples) | 1, MIN_INSTANTS)
    count = count if limit is None else min(count, limit)
    return length * ((np.arange(count, dtype=np.float64) + 0.5) / count - 0.5)


def whole_frames(length: float) -> Times:
    """The whole frames of an exposure around 0: the largest odd number that ``length`` holds.

    Example:
        >>> whole_frames(4.5)
        array([-1.,  0.,  1.])
    """
    reach = (math.floor(length) - 1) // 2
    return np.arange(-reach, reach + 1, dtype=np.float64)


def exposure_centers(count: int, interval: int, length: float) -> range:
    """Frames of a video whose whole exposure is within the video.

    Args:
        count: frames of the video.
        interval: frames from one exposure to the next.
        length: duration of an exposure, in frames.

    Example:
        >>> list(exposure_centers(10, interval=3, length=4))
        [2, 5]
    """
    reach = math.ceil(length / 2)
    return range(reach, count - reach, interval)


def average(view: Callable[[Times], Tensor], times: Times, *, at_once: int = 1) -> Tensor:
    """Average of linear light over the instants of an exposure.

    Args:
        view: returns the light (N, ...) at N times.
        times: the instants.
        at_once: how many instants ``view`` is given at once.

    Example:
        >>> import torch
        >>> average(lambda times: torch.from_numpy(times), np.array([0.0, 1.0, 5.0])).item()
        2.0
    """
    total: Tensor | None = None
    for first in range(0, len(times), at_once):
        light = view(times[first : first + at_once])
        part = light[0] if len(light) == 1 else light.sum(0)
        total = part.clone() if total is None else total.add_(part)
    assert total is not None
    return total / len(times)
