"""Restoring at lower scales, where a long blur is short and a frame is cheap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from flowdeblur.blur.estimate import estimate_blur
from flowdeblur.errors import UserError
from flowdeblur.neighbours import neighbour

Scales = tuple[float, ...]
"""Scales that a frame is restored at, one after the other, coarse to fine, each in (0, 1]."""

FULL: Scales = (1.0,)

Choices = Sequence[tuple[float, Scales]]
"""``(blur below this many pixels, scales)``, ascending."""

AUTO_SCALES: Choices = ((15.0, FULL), (math.inf, (0.5,)))
"""What :class:`AutoScale` chooses for frames of up to ``AUTO_LINES`` lines."""

AUTO_LINES = 540
LARGE_SCALES: Choices = ((6.5, FULL), (math.inf, (0.5, 1.0)))
"""The same for larger frames, which the shipped weights were not trained on."""


class AutoScale:
    """Chooses scales by the estimated blur; the estimate is smoothed over a clip's frames.

    Args:
        memory: share of the previous estimates in the running mean, in [0, 1); 0 for frames that
            have nothing to do with each other.
        choices: for all frames; None for ``AUTO_SCALES`` and ``LARGE_SCALES``.
    """

    def __init__(self, memory: float = 0.8, choices: Choices | None = None) -> None:
        self._memory, self._choices = memory, choices
        self._blur: float | None = None

    def __call__(self, images: Tensor) -> Scales:
        """Choose for frames (B, 3, H, W), in the order of the clip."""
        blur = float(estimate_blur(images).mean())
        if self._blur is not None:
            blur = self._memory * self._blur + (1 - self._memory) * blur
        self._blur = blur
        large = min(images.shape[-2:]) > AUTO_LINES
        choices = self._choices or (LARGE_SCALES if large else AUTO_SCALES)
        return next(scales for limit, scales in choices if blur < limit)


def choose_scale(
    value: str | float | Sequence[float], *, memory: float = 0.8, option: str = "--scale "
) -> Scales | AutoScale:
    """Read a choice of scales.

    Args:
        value: a scale, several from coarse to fine (as numbers, or in a text with commas), or
            ``auto``.
        memory: see :class:`AutoScale`.
        option: how the user gave it, for the message.

    Raises:
        UserError: it is none of these.
    """
    if value == "auto":
        return AutoScale(memory)
    try:
        if isinstance(value, str):
            scales = tuple(map(float, value.split(",")))
        else:
            scales = (float(value),) if isinstance(value, int | float) else tuple(map(float, value))
    except (TypeError, ValueError):
        scales = ()
    if not scales or not all(0 < each <= 1 for each in scales) or list(scales) != sorted(scales):
        raise UserError(
            f"{option}{value}: must be auto, a number above 0 and up to 1, or several of them from "
            "coarse to fine, as 0.25,0.5,1"
        )
    return scales


def restore_at_scales(
    restore: Callable[[Tensor], Tensor],
    frames: Tensor,
    frame_offsets: Sequence[int],
    scales: Scales,
) -> Tensor:
    """Restore at each scale and add the enlarged difference, coarse to fine.

    Before the last scale all frames of the window are restored, not only the current one, so that
    the next scale sees frames of like sharpness; each is paired with the frames that the window
    has of its neighbours.

    Args:
        restore: takes frames (B, T, 3, h, w), returns the restored current frame (B, 3, h, w).
        frames: (B, T, 3, H, W).
        frame_offsets: the network's.
        scales: at least one.

    Returns:
        (B, 3, H, W).
    """
    *coarse, last = scales
    for scale in coarse:
        differences = [
            _difference(restore, frames[:, list(window)], window.index(place), scale)
            for place, window in enumerate(_windows(frame_offsets))
        ]
        for place, difference in enumerate(differences):
            frames = frames.clone() if place == 0 else frames
            frames[:, place] = (frames[:, place] + difference).clamp(0, 1)
    if last == 1:
        return restore(frames)
    current = frame_offsets.index(0)
    return frames[:, current] + _difference(restore, frames, current, last)


def _difference(
    restore: Callable[[Tensor], Tensor], frames: Tensor, current: int, scale: float
) -> Tensor:
    """What restoring at a lower scale changes, enlarged to full size."""
    height, width = frames.shape[-2:]
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = F.interpolate(frames.flatten(0, 1), size, mode="bicubic", antialias=True)
    small = small.clamp(0, 1).view(*frames.shape[:3], *size)
    return F.interpolate(
        restore(small) - small[:, current], (height, width), mode="bicubic", antialias=True
    )


def _windows(offsets: Sequence[int]) -> list[tuple[int, ...]]:
    """For each frame of a window, the places of the frames to restore it with."""
    ordered = sorted(offsets)
    rank = {offset: place for place, offset in enumerate(ordered)}
    steps = [rank[offset] - rank[0] for offset in offsets]
    return [
        tuple(offsets.index(ordered[neighbour(rank[each], step, len(ordered))]) for step in steps)
        for each in offsets
    ]
