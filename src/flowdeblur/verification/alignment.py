"""Whether a blurry frame and its sharp version show the same moment and the same place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowdeblur.video.images import ImageArray

Plane = NDArray[np.float32]
"""(h, w) luminance, 0 .. 255."""

_LONG_SIDE = 640  # pixels; motion blur leaves nothing finer to compare in larger images
_REC_601 = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Comparison:
    """A blurry frame compared with three sharp ones.

    Attributes:
        frame: its name.
        before: PSNR with the sharp version of the frame before, dB; None where there is none.
        own: PSNR with its own sharp version.
        after: PSNR with the sharp version of the frame after.
        shift: (dx, dy) by which the blurry frame is to the right of and below its sharp version,
            in pixels of the full size.
        motion: (dx, dy) of the scene within a frame interval, likewise; None for a single frame.
        correlation: of the blurry frame and its sharp version, in -1 .. 1.
    """

    frame: str
    before: float | None
    own: float
    after: float | None
    shift: tuple[float, float]
    motion: tuple[float, float] | None
    correlation: float


def luminance(image: ImageArray) -> tuple[Plane, int]:
    """Reduce an image to what motion blur leaves of it.

    Returns:
        Its luminance averaged over squares, and the squares' side in pixels.
    """
    height, width = image.shape[:2]
    factor = max(1, round(max(height, width) / _LONG_SIDE))
    rows, columns = height // factor, width // factor
    plane = image[: rows * factor, : columns * factor].astype(np.float32) @ _REC_601
    if image.dtype == np.uint16:
        plane /= 257
    return plane.reshape(rows, factor, columns, factor).mean(axis=(1, 3)), factor


def compare(
    frame: str, blurry: Plane, sharp: Plane, before: Plane | None, after: Plane | None, scale: int
) -> Comparison:
    """Compare a blurry frame with its sharp version and with those of its neighbours.

    Args:
        frame: its name.
        blurry: its luminance.
        sharp: that of its sharp version.
        before: that of the sharp version of the frame before, if there is one.
        after: that of the sharp version of the frame after.
        scale: pixels of the full size to a pixel of these.
    """
    motion = None
    if after is not None:
        motion = find_shift(after, sharp)
    elif before is not None:
        motion = find_shift(sharp, before)
    dx, dy = find_shift(blurry, sharp)
    return Comparison(
        frame,
        None if before is None else _psnr(blurry, before),
        _psnr(blurry, sharp),
        None if after is None else _psnr(blurry, after),
        (dx * scale, dy * scale),
        None if motion is None else (motion[0] * scale, motion[1] * scale),
        _correlation(blurry, sharp),
    )


def find_shift(blurry: Plane, sharp: Plane) -> tuple[float, float]:
    """Estimate by phase correlation how far ``blurry`` is displaced from ``sharp``.

    The phases of a motion-blurred image are reversed beyond the first zero of its blur's
    spectrum, which would show as two peaks half a blur to either side. So the phases are weighted
    by the sharp image's spectrum, in which the low frequencies prevail. The peak becomes as
    broad as the blur; its centre of mass is the shift.

    Returns:
        (dx, dy) in pixels: positive where the blurry image is to the right and below.
    """
    height, width = sharp.shape
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    spectra = [np.fft.rfft2((each - each.mean()) * window) for each in (blurry, sharp)]
    cross = spectra[0] * spectra[1].conj()
    correlation = np.fft.irfft2(cross / np.maximum(np.abs(spectra[1]), 1e-6), s=(height, width))
    row, column = np.unravel_index(correlation.argmax(), correlation.shape)
    radius = max(2, min(height, width) // 16)
    offsets = np.arange(-radius, radius + 1)
    peak = np.roll(correlation, (radius - int(row), radius - int(column)), axis=(0, 1))
    peak = peak[: 2 * radius + 1, : 2 * radius + 1]
    weights = np.maximum(peak - 0.7 * peak.max(), 0)
    total = weights.sum() or 1.0
    dy = float(row + (weights.sum(axis=1) @ offsets[: peak.shape[0]]) / total)
    dx = float(column + (weights.sum(axis=0) @ offsets[: peak.shape[1]]) / total)
    return (dx + width / 2) % width - width / 2, (dy + height / 2) % height - height / 2


def _psnr(one: Plane, other: Plane) -> float:
    error = float(np.mean(np.square(one - other)))
    return 10 * float(np.log10(255**2 / max(error, 1e-3)))


def _correlation(one: Plane, other: Plane) -> float:
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 1.0
