"""Frames of a video file or of images, one after the other."""

from __future__ import annotations

import logging
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

_log = logging.getLogger(__name__)


class ImageReader:
    """Images of one size as a clip with a constant rate.

    An image that cannot be decoded comes as a damaged frame with the pixels of the previous one
    (at the start, of the first that can be decoded), and ``damage`` names it afterwards.

    Args:
        path: the folder, or the first of the images.
        images: the frames in order; their headers are read now, their pixels during iteration.
        rate: frames per second.

    Raises:
        UserError: two images differ in size, or only in their suffix; none of them can be decoded;
            during iteration, what else :func:`read_image` raises.
    """

    def __init__(self, path: Path, images: Sequence[Path], rate: Fraction) -> None:
        self.path, self.files = path, images
        self._first = self._first_readable()
        self.size = cast("tuple[int, int]", self._first.shape[:2])
        self.count: int | None = len(images)
        self.expected: int | None = len(images)
        self.format = VideoFormat(rate, 1 / rate, deep=self._first.dtype == np.uint16)
        self.damage: str | None = None
        names = Counter(image.stem for image in images)
        for image in images:
            if (size := _size_or_none(image)) not in (None, self.size):
                raise UserError(
                    f"{image}: is {in_words(size)}, but the first frame {images[0].name} is "
                    f"{in_words(self.size)}; keep frames of one size in a folder"
                )
            if names[image.stem] > 1:
                raise UserError(f"{image}: another frame is named {image.stem}; remove one")

    def __iter__(self) -> Iterator[Frame]:
        """Read the images."""
        damaged, pixels = [], self._first
        for index, image in enumerate(self.files):
            time = index * self.format.time_base
            try:
                pixels = read_image(image)
            except CorruptImageError:
                damaged.append(image.name)
                yield Frame(pixels, image.stem, time, damaged=True, file=image)
            else:
                yield Frame(pixels, image.stem, time, read_profile(image))
        self.damage = passed_through(damaged) if damaged else None

    def _first_readable(self) -> ImageArray:
        for image in self.files:
            try:
                return read_image(image)
            except CorruptImageError as error:
                last = error
        raise last


class VideoReader:
    """The frames of a video file, upright, in the order in which they are shown.

    A damaged frame is marked; where nothing of it can be decoded, it repeats the previous one.
    ``damage`` describes both afterwards, and frames that are missing at the end. Transparency is
    dropped and interlaced frames are taken as they are, both with a warning.

    Args:
        path: a file with one of ``VIDEO_SUFFIXES``.

    Raises:
        UserError: the file is missing, not a video, has no video stream or no frame that can be
            decoded; during iteration, the frames change their size or the time stamps jump back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: Sequence[Path] = [path]
        self.damage: str | None = None
        with open_video(path) as container:
            stream = video_stream(container, path)
            decoded = next(Decoding(container, stream, path).frames(), None)
            if decoded is None:
                raise UserError(f"{path}: none of its frames can be decoded; replace it")
            first = decoded.frame
            self._warn_of_losses(stream, first)
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
            decoding = Decoding(container, stream, self.path)
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

    def _warn_of_losses(self, stream: VideoStream, first: av.VideoFrame) -> None:
        # Of VP8 and VP9 with transparency, the decoder returns the colours only.
        transparent = any(component.is_alpha for component in first.format.components)
        if transparent or "alpha_mode" in stream.metadata:
            _log.warning("%s: its transparency is not kept", self.path)
        if first.interlaced_frame:
            _log.warning(
                "%s: is interlaced and restored as if it were not; deinterlace it first, "
                "for example: ffmpeg -i IN -vf bwdif OUT",
                self.path,
            )


def _size_or_none(image: Path) -> tuple[int, int] | None:
    try:
        return image_size(image)
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

    Call it for one frame only: its side data and the frame refer to each other, which keeps the
    frame's buffers until Python's garbage collector looks for cycles.
    """
    # PyAV's annotation covers motion vectors only.
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
