"""Frames of a video file or of pictures, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from flowdeblur.errors import UserError
from flowdeblur.video.clip import Frame, VideoFormat, in_words
from flowdeblur.video.colour import Colour
from flowdeblur.video.decoding import (
    Decoding,
    open_video,
    passed_through,
    rate_of,
    video_stream,
)
from flowdeblur.video.images import (
    CorruptImageError,
    ImageArray,
    image_size,
    read_image,
    read_profile,
)

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".3gp", ".wmv", ".flv"),
)


class ImageReader:
    """Pictures of one size as a clip with a constant rate.

    A picture that cannot be decoded comes as a damaged frame with the image of the one before it
    (at the start, of the first that can be), and ``damage`` names it afterwards.

    Args:
        path: the folder, or the first of the pictures.
        pictures: the frames in order; their headers are read now, their pixels during iteration.
        rate: frames a second.

    Raises:
        UserError: two pictures differ in size, or in nothing but their suffix; not one of them can
            be decoded; during iteration, what else :func:`read_image` raises.
    """

    def __init__(self, path: Path, pictures: Sequence[Path], rate: Fraction) -> None:
        self.path, self.files = path, pictures
        self._first = self._first_readable()
        self.size = cast("tuple[int, int]", self._first.shape[:2])
        self.count: int | None = len(pictures)
        self.expected: int | None = len(pictures)
        self.format = VideoFormat(rate, 1 / rate, deep=self._first.dtype == np.uint16)
        self.damage: str | None = None
        names = Counter(picture.stem for picture in pictures)
        for picture in pictures:
            if (size := _size_or_none(picture)) not in (None, self.size):
                raise UserError(
                    f"{picture}: is {in_words(size)}, but the first frame {pictures[0].name} is "
                    f"{in_words(self.size)}; keep frames of one size in a folder"
                )
            if names[picture.stem] > 1:
                raise UserError(f"{picture}: another frame is named {picture.stem}; remove one")

    def __iter__(self) -> Iterator[Frame]:
        """Read the pictures."""
        damaged, image = [], self._first
        for index, picture in enumerate(self.files):
            time = index * self.format.time_base
            try:
                image = read_image(picture)
            except CorruptImageError:
                damaged.append(picture.name)
                yield Frame(image, picture.stem, time, damaged=True, file=picture)
            else:
                yield Frame(image, picture.stem, time, read_profile(picture))
        self.damage = passed_through(damaged) if damaged else None

    def _first_readable(self) -> ImageArray:
        for picture in self.files:
            try:
                return read_image(picture)
            except CorruptImageError as error:
                last = error
        raise last


class VideoReader:
    """The frames of a video file, upright, in the order in which they are shown.

    A damaged frame is marked; for one of which nothing can be decoded stands the one before it.
    ``damage`` tells of both afterwards, and of frames that are missing at the end.

    Args:
        path: anything that FFmpeg decodes.

    Raises:
        UserError: the file is missing, no video, has no video stream or not one frame that can be
            decoded; during iteration, the frames change their size.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: Sequence[Path] = [path]
        self.damage: str | None = None
        with open_video(path) as container:
            stream = video_stream(container, path)
            decoded = next(Decoding(container, stream).frames(), None)
            if decoded is None:
                raise UserError(f"{path}: not one frame of it can be decoded; replace it")
            first = decoded.frame
            self._turn = _display_matrix(first)
            sideways = self._turn[0] == 0
            height, width = first.height, first.width
            self.size = (width, height) if sideways else (height, width)
            self.format = _format(stream, first, sideways=sideways)
            self.count = stream.frames or None
            seconds = Fraction(container.duration or 0, av.time_base)
            self.expected = self.count or round(seconds * self.format.rate) or None

    def __iter__(self) -> Iterator[Frame]:
        """Decode the video."""
        self.damage = None
        reformatter = VideoReformatter()
        with open_video(self.path) as container:
            stream = video_stream(container, self.path)
            decoding = Decoding(container, stream)
            for index, (decoded, time, damaged) in enumerate(decoding.frames()):
                colour, deep = self.format.colour, self.format.deep
                image = _upright(colour.to_rgb(decoded, reformatter, deep=deep), self._turn)
                if image.shape[:2] != self.size:
                    raise UserError(
                        f"{self.path}: frame {index} is {in_words(image.shape)}, but the first is "
                        f"{in_words(self.size)}; cut the video there"
                    )
                image = np.ascontiguousarray(image)
                yield Frame(image, f"{index:08d}", time, damaged=damaged)
            self.damage = decoding.damage()


def _size_or_none(picture: Path) -> tuple[int, int] | None:
    try:
        return image_size(picture)
    except CorruptImageError:
        return None


def _format(stream: VideoStream, first: av.VideoFrame, *, sideways: bool) -> VideoFormat:
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    rate = rate_of(stream)
    return VideoFormat(
        rate=rate,
        time_base=Fraction(stream.time_base or 1 / rate),
        colour=Colour.of(first),
        chroma=chroma_of(first.format),
        pixel_aspect=1 / aspect if sideways else aspect,
        deep=max(component.bits for component in first.format.components) > 8,
    )


def chroma_of(pixels: av.VideoFormat) -> str:
    """Resolution of colour of a pixel format: yuv420p, yuv422p or yuv444p."""
    if len(pixels.components) < 3:
        return "yuv420p"  # grey
    of_two_by_two = pixels.chroma_width(2), pixels.chroma_height(2)
    return {(2, 2): "yuv444p", (1, 2): "yuv422p"}.get(of_two_by_two, "yuv420p")


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Signs (a, b, c, d) of what turns a stored frame upright: x' = ax + cy, y' = bx + dy.

    To be asked of one frame only: its side data and the frame refer to each other, which keeps the
    frame's buffers until Python looks for cycles.
    """
    # PyAV's annotation knows of motion vectors only.
    side_data = cast("SideDataContainer", frame.side_data).get("DISPLAYMATRIX")
    if side_data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.sign(np.frombuffer(bytes(side_data), np.int32))[:5].tolist()
    return a, b, c, d


def _upright(image: ImageArray, matrix: tuple[int, int, int, int]) -> ImageArray:
    a, b, c, d = matrix
    if a == 0:
        image, a, d = image.swapaxes(0, 1), c, b
    image = image[:, ::-1] if a < 0 else image
    return image[::-1] if d < 0 else image
