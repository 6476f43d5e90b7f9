"""Images of training and held-out data that show the same, although their pixels differ.

Equal pixels are found by their digests. This module looks for what re-encoding, scaling, mirroring
and cropping hide. Each image becomes a thumbnail; windows of it at several places and sizes,
mirrored and not, become perceptual hashes (signs of low DCT coefficients, as pHash: Zauner, 2010),
and hashes of whole images on one side are compared with those of windows on the other. The
correlation of the nearest pairs decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Thumbnail = NDArray[np.float32]
"""(64, 64) luminance."""

_SIDE, _CELLS, _COEFFICIENTS = 64, 16, 8
_SCALES, _STEP = (1.0, 0.92, 0.85, 0.78, 0.72, 0.66, 0.61), 3
"""Sizes of the windows as shares of the image, and the pixels of a thumbnail between them."""

_CANDIDATE_BITS = 16
"""Of 63; hashes of unrelated images differ by about half of their bits."""

_SAME_CORRELATION, _SHOWN_CORRELATION = 0.95, 0.9
"""Photographs: 1.00 for re-encoded, scaled and mirrored copies, 0.88 to 0.97 for crops. Different
ones had 0.45 at most, but different smooth parts of one photograph 0.89."""

_CONTRAST = 4.0
"""Standard deviation of luminance, of 255, below which an image is too flat to be recognized."""


class Pair(NamedTuple):
    """Two images that look alike.

    Attributes:
        training: path of the training image.
        held_out: path of the validation or test image.
        correlation: of their common part, -1 .. 1.
    """

    training: Path
    held_out: Path
    correlation: float

    @property
    def same(self) -> bool:
        """Whether they show the same."""
        return self.correlation >= _SAME_CORRELATION

    @property
    def shown(self) -> bool:
        """Whether they are alike enough to be shown to the user."""
        return self.correlation >= _SHOWN_CORRELATION


def thumbnail(luminance: NDArray[np.float32]) -> Thumbnail | None:
    """Shrink an image; None if it is too flat to be recognized.

    Args:
        luminance: (H, W), 0 .. 255.
    """
    image = Image.fromarray(luminance).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    small = np.asarray(image, dtype=np.float32)
    return small if small.std() >= _CONTRAST else None


def nearest_pairs(
    training: Mapping[Path, Thumbnail], held_out: Mapping[Path, Thumbnail]
) -> list[Pair]:
    """Find for each held-out image the training image that looks most like it.

    Returns:
        At most one pair for each held-out image, nearest first.
    """
    if not training or not held_out:
        return []
    mine, theirs = list(training.items()), list(held_out.items())
    best: dict[Path, Pair] = {}
    for pair in (
        *_matches(mine, theirs),
        *(Pair(each.held_out, each.training, each.correlation) for each in _matches(theirs, mine)),
    ):
        known = best.get(pair.held_out)
        if known is None or pair.correlation > known.correlation:
            best[pair.held_out] = pair
    return sorted(best.values(), key=lambda pair: -pair.correlation)


def _matches(
    whole: list[tuple[Path, Thumbnail]], parts: list[tuple[Path, Thumbnail]]
) -> Iterator[Pair]:
    """Compare whole images with windows of others; the first ones are ``training`` in the pairs."""
    cells = _cells(np.stack([image for _, image in whole]), [0], _SIDE)
    hashes = _hash(cells)
    for path, image in parts:
        windows = _windows(_mirrored(image))
        bits = np.bitwise_count(_hash(windows)[:, None] ^ hashes)  # (windows, whole images)
        nearest = bits.argmin(axis=0)
        for index in np.flatnonzero(bits.min(axis=0) <= _CANDIDATE_BITS):
            correlation = _correlation(windows[nearest[index]], cells[index])
            yield Pair(whole[index][0], path, correlation)


def _mirrored(image: Thumbnail) -> Thumbnail:
    return np.stack([image, image[:, ::-1], image[::-1], image[::-1, ::-1]])


def _windows(images: Thumbnail) -> NDArray[np.float32]:
    """Windows of all sizes and places of images (N, 64, 64), (M, 16, 16)."""
    found = []
    for scale in _SCALES:
        side = round(_SIDE * scale)
        found.append(_cells(images, sorted({*range(0, _SIDE - side, _STEP), _SIDE - side}), side))
    return np.concatenate(found)


def _cells(images: Thumbnail, places: Sequence[int], side: int) -> NDArray[np.float32]:
    """Sample square windows of images (N, 64, 64), as means of 2x2 points.

    Returns:
        (N P P, 16, 16): a window for every row and column of the P ``places``.
    """
    points = (np.arange(2 * _CELLS) + 0.5) * side / (2 * _CELLS)
    at = (np.array(places)[:, None] + points).astype(int)
    sampled = images[:, at[:, None, :, None], at[:, None, :]]  # (N, P, P, 32, 32)
    rows = sampled[..., ::2, :] + sampled[..., 1::2, :]
    cells: NDArray[np.float32] = (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)
    return cells.reshape(-1, _CELLS, _CELLS)


_DCT = np.cos(
    np.pi / _CELLS * (np.arange(_CELLS) + 0.5) * np.arange(_COEFFICIENTS)[:, None]
).astype(np.float32)


def _hash(cells: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Signs of the low DCT coefficients without the mean, 63 bits."""
    coefficients = (_DCT @ cells @ _DCT.T).reshape(len(cells), -1)
    signs = coefficients > 0
    signs[:, 0] = False
    return np.packbits(signs, axis=1).view(np.uint64)[:, 0]


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
