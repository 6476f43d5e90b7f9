"""Which frame stands in for one beyond the end of a clip."""

from __future__ import annotations


def neighbour(index: int, offset: int, count: int) -> int:
    """The frame at ``index + offset``, or beyond a clip of ``count`` frames its substitute.

    That is the frame's other neighbour (the last frame is paired with its predecessor), in clips
    shorter than that the frame nearest to the missing one.
    """
    for candidate in (index + offset, index - offset):
        if 0 <= candidate < count:
            return candidate
    return min(max(index + offset, 0), count - 1)
