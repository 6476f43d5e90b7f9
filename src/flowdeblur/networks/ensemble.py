"""Self-ensemble: the mean of what a network makes of mirrored and turned views of a frame."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from flowdeblur.errors import UserError

SIZES = (1, 2, 4, 8)
"""Numbers of views: the frame, mirrored left to right, upside down, and all of them transposed."""


def restore_views(restore: Callable[[Tensor], Tensor], frames: Tensor, size: int) -> Tensor:
    """Restore several views of the frames and take the mean.

    What a network does to an edge depends on the edge's direction by chance only, so that the
    errors of its views are partly independent (Timofte et al., CVPR 2016).

    Args:
        restore: takes frames (B, T, 3, h, w), returns the restored current frame (B, 3, h, w).
            Transposed views have height and width exchanged.
        frames: (B, T, 3, H, W).
        size: number of views, one of ``SIZES``; the time grows by this factor.

    Returns:
        (B, 3, H, W).
    """
    if size > 1:
        frames = frames.clone()  # of the same kind as its views, so that they are compiled once
    restored = restore(frames)
    for number in range(1, size):
        restored = restored + _turned_back(restore(_turned(frames, number)), number)
    return restored / size


def check_size(value: int, option: str) -> int:
    """Check a number of views.

    Args:
        value: what the user gave.
        option: how it was given, for the message, such as ``--ensemble``.

    Raises:
        UserError: it is not one of ``SIZES``.
    """
    if type(value) is not int or value not in SIZES:
        raise UserError(f"{option}{value}: must be one of {', '.join(map(str, SIZES))}")
    return value


def _turned(x: Tensor, number: int) -> Tensor:
    """View of (..., H, W); bit 0 of its number mirrors, bit 1 turns upside down, 2 transposes."""
    x = x.flip(_mirrored(number)) if _mirrored(number) else x
    return x.transpose(-1, -2) if number & 4 else x


def _turned_back(x: Tensor, number: int) -> Tensor:
    x = x.transpose(-1, -2) if number & 4 else x
    return x.flip(_mirrored(number)) if _mirrored(number) else x


def _mirrored(number: int) -> list[int]:
    return [-1] * (number & 1) + [-2] * (number >> 1 & 1)
