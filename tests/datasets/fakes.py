"""Small fakes of video data sets: a photograph that pans, with real motion blur."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage import data

from flowdeblur.video.images import write_image

SIZE = (72, 96)
STEPS = 9  # instants averaged for a blurry frame


def pan(
    count: int, *, start=(40, 40), size=SIZE, motion=(3, 1), phase: float = 0.5
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Blurry and sharp frames of a camera that moves over a photograph.

    Args:
        count: frames.
        start: (x, y) of the first frame's corner in the photograph.
        size: rows and columns.
        motion: (dx, dy) between frames, in pixels; the content moves the other way.
        phase: when in the exposure (0 .. 1, of the whole frame interval) the sharp frame is taken.
    """
    photograph = data.astronaut()

    def window(time: float) -> np.ndarray:
        # Eight times as fine, so that the instants of an exposure differ by parts of a pixel.
        x, y = (round(8 * (s + m * time)) for s, m in zip(start, motion, strict=True))
        rows = (y + 8 * np.arange(size[0])) / 8
        columns = (x + 8 * np.arange(size[1])) / 8
        return _sample(photograph, rows, columns)

    frames = []
    for number in range(count):
        instants = [window(number + (step + 0.5) / STEPS) for step in range(STEPS)]
        frames.append((np.mean(instants, axis=0), window(number + phase)))
    return [tuple(np.round(each).astype(np.uint8) for each in pair) for pair in frames]


def _sample(photograph: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None, None], (columns - left)[None, :, None]
    a, b, c, d = (
        photograph[np.ix_(top + i, left + j)].astype(float) for i in (0, 1) for j in (0, 1)
    )
    return (1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d)


def write_clip(blurry: Path, sharp: Path, frames, *, first=0, digits=5, suffix=".png") -> None:
    """Write frames under consecutive numbers into two folders."""
    for folder in (blurry, sharp):
        folder.mkdir(parents=True, exist_ok=True)
    for number, pair in enumerate(frames, start=first):
        for folder, image in zip((blurry, sharp), pair, strict=True):
            write_image(folder / f"{number:0{digits}d}{suffix}", image)
