"""Types that readers, restoration and writers exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from flowdeblur.video.colour import Colour
from flowdeblur.video.images import ImageArray


@dataclass(frozen=True, slots=True)
class Frame:
    """One upright frame.

    Attributes:
        image: (H, W, 3), RGB, uint8 or uint16.
        name: file name of an image without suffix, or number of a video's frame in eight digits.
        time: presentation time in seconds.
        profile: ICC colour profile of an image; None without one.
        damaged: whether it passes through unchanged and is no neighbour of other frames. If
            nothing of it could be decoded, ``image`` is that of the previous frame.
        file: the file, for an image that cannot be decoded.
    """

    image: ImageArray
    name: str
    time: Fraction
    profile: bytes | None = None
    damaged: bool = False
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """Properties of a clip that a video writer keeps.

    Attributes:
        rate: frames per second; the mean if it varies.
        time_base: the clip's tick in seconds; every time is a multiple of it.
        colour: meaning of YUV values.
        chroma: yuv420p, yuv422p or yuv444p: resolution of colour.
        pixel_aspect: width / height of a pixel.
        deep: whether frames have 16 bits a channel.
    """

    rate: Fraction
    time_base: Fraction
    colour: Colour = field(default_factory=Colour)
    chroma: str = "yuv420p"
    pixel_aspect: Fraction = Fraction(1)
    deep: bool = False


class FrameReader(Protocol):
    """A clip; iterating reads it from its start, one frame in memory at a time.

    Attributes:
        path: the file or folder; the first of several images.
        files: all files that are read.
        size: (H, W) of every frame, upright.
        count: number of frames; None if the file does not say.
        expected: number of frames, or an estimate from the length; None if unknown.
        format: rate, colour and other properties.
        damage: after iteration, what is wrong with the file, as in "is cut off"; None if nothing.
    """

    path: Path
    files: Sequence[Path]
    size: tuple[int, int]
    count: int | None
    expected: int | None
    format: VideoFormat
    damage: str | None

    def __iter__(self) -> Iterator[Frame]: ...


Sink = Callable[[Frame], None]
"""Takes the frames of an output in order."""


def in_words(size: tuple[int, ...]) -> str:
    """``(720, 1280)`` as ``1280x720``, the way video sizes are read."""
    return f"{size[1]}x{size[0]}"
