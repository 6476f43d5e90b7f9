"""What readers, restoration and writers hand to one another."""

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
        name: the picture's name without its suffix; of a video's frame its number in eight digits.
        time: when it is shown, in seconds.
        profile: ICC colour profile of a picture that has one.
        damaged: it passes through as it is, and no other frame is restored with its help. Where
            nothing of it could be decoded, ``image`` is that of the frame before it.
        file: of a picture that cannot be decoded.
    """

    image: ImageArray
    name: str
    time: Fraction
    profile: bytes | None = None
    damaged: bool = False
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What a video writer keeps of a clip, besides its frames.

    Attributes:
        rate: frames a second; the mean where it varies.
        time_base: the clip's tick in seconds, of which every time is a multiple.
        colour: how YUV values are meant.
        chroma: yuv420p, yuv422p or yuv444p: the resolution of colour.
        pixel_aspect: width by height of a pixel.
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
        path: the file or folder; of pictures given one by one the first.
        files: what is read.
        size: (H, W) of every frame, upright.
        count: number of frames; None where the file does not say.
        expected: the same, or an estimate by its length.
        format: rate, colour and the like.
        damage: after iteration, what is wrong with the file although frames came out of it, as in
            "is cut off"; None if nothing.
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
"""Takes the frames of an output, one after the other."""


def in_words(size: tuple[int, ...]) -> str:
    """``(720, 1280)`` as ``1280x720``, the way video sizes are read."""
    return f"{size[1]}x{size[0]}"
