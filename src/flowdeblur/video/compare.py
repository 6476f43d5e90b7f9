"""Comparison videos: input and restored frames in one image."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from flowdeblur.video.clip import Frame
from flowdeblur.video.images import ImageArray
from flowdeblur.video.restore import Result

_LINE_PX = 2
_WIPE_SECONDS = 4.0

Comparison = Callable[[Result], Frame]
"""Draws a frame of a comparison video."""


def side(result: Result) -> Frame:
    """Input on the left, restored frame on the right, at full size each."""
    return _frame(result, np.concatenate([result.before.image, result.after.image], 1))


def split(result: Result) -> Frame:
    """Left half from the input, right half restored."""
    return _frame(result, _joined(result, result.before.image.shape[1] // 2))


def wipe(result: Result) -> Frame:
    """Input on the left, restored on the right of a line that moves across and back in 4 s."""
    share = 0.5 - 0.5 * math.cos(2 * math.pi * float(result.before.time) / _WIPE_SECONDS)
    return _frame(result, _joined(result, round(share * result.before.image.shape[1])))


def unchanged(result: Result) -> Frame:
    """Only the input, to be played beside the restored video."""
    return result.before


COMPARISONS: dict[str, Comparison] = {
    "side": side,
    "split": split,
    "wipe": wipe,
    "input": unchanged,
}


def comparison_path(output: Path, kind: str) -> Path:
    """Path of a comparison video: beside the output, named after its kind (``out.side.mp4``)."""
    return output.with_name(f"{output.stem}.{kind}{output.suffix}")


def compared_size(comparison: Comparison, size: tuple[int, int]) -> tuple[int, int]:
    """Size (H, W) of a comparison's frames for frames of ``size``."""
    return (size[0], 2 * size[1]) if comparison is side else size


def _joined(result: Result, column: int) -> ImageArray:
    image: ImageArray = result.after.image.copy()
    image[:, :column] = result.before.image[:, :column]
    start = max(0, column - _LINE_PX // 2)
    image[:, start : column + _LINE_PX // 2] = np.iinfo(image.dtype).max
    return image


def _frame(result: Result, image: ImageArray) -> Frame:
    return replace(result.after, image=image, damaged=False, file=None)
