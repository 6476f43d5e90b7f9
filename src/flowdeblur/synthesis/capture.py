"""One exposure of a sharp video: its average light, and the blur that it holds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.blur.exposure import average, midpoints, whole_frames
from flowdeblur.synthesis.footage import Footage

FASTEST = 99.5
"""Percentile of the blur lengths that counts as the fastest: beyond are errors of the flow."""

MOVING_PX = 0.5
"""Pixels with a longer blur count as moving."""


@dataclass(frozen=True)
class BlurLength:
    """How far pixels move during an exposure.

    Attributes:
        mean: over all pixels.
        median: over the moving pixels; 0 if there are none. This is "the blur length" of a frame.
        fastest: nearly the largest.
        moving: share of the pixels that move by more than half a pixel.
    """

    mean: float
    median: float
    fastest: float
    moving: float

    @classmethod
    def of(cls, lengths: NDArray[np.floating[Any]]) -> Self:
        """Summarize the lengths of single pixels."""
        moving = lengths[lengths > MOVING_PX]
        return cls(
            mean=round(float(lengths.mean(dtype=np.float64)), 3),
            median=round(float(np.median(moving)), 3) if moving.size else 0.0,
            fastest=round(float(np.percentile(lengths, FASTEST)), 3),
            moving=round(moving.size / lengths.size, 3),
        )


def blur_lengths(footage: Footage, center: int, length: float) -> NDArray[np.float32]:
    """Path of every fourth pixel during an exposure: the sum of the speeds of its frames."""
    start, end = center - length / 2, center + length / 2
    lengths: NDArray[np.float32] = sum(
        (min(end, number + 1) - max(start, number)) * footage.motion(number).speeds
        for number in range(math.floor(start), math.ceil(end))
    )  # type: ignore[assignment]
    return lengths


def expose(footage: Footage, center: int, length: float) -> tuple[Tensor, dict[str, Any]]:
    """Average the light of an exposure.

    Args:
        footage: has read the frames of the exposure.
        center: frame in the middle of the exposure.
        length: duration of the exposure in frames.

    Returns:
        (3, H, W) linear light without noise, and ``instants``, how many were averaged, and
        ``blur_px``, the fields of :class:`BlurLength`; None where only whole frames are averaged,
        because no flow is known.
    """
    if not footage.interpolates:
        times = whole_frames(length)
        return average(footage.at, center + times), {"instants": len(times), "blur_px": None}
    blur = BlurLength.of(blur_lengths(footage, center, length))
    times = midpoints(length, blur.fastest)
    known = {"instants": len(times), "blur_px": asdict(blur)}
    return average(footage.at, center + times), known
