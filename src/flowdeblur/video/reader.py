"""Frames of a video file or of pictures, one after the other."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from flowdeblur.errors import UserError
from flowdeblur.pictures import Picture, picture_size, read_picture, read_profile
from flowdeblur.video.clip import Frame, VideoFormat, in_words
from flowdeblur.video.colour import Colour

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".3gp", ".wmv", ".flv"),
)

_MATROSKA_TIME = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")

_log = logging.getLogger(__name__)


class PictureReader:
    """Pictures of one size as a clip with a constant rate.

    Args:
        path: the folder or single picture.
        pictures: the frames in order; their headers are read now, their pixels during iteration.
        rate: frames a second.

    Raises:
        UserError: two pictures differ in size, or in nothing but their suffix; during iteration,
            what :func:`read_picture` raises.
    """

    def __init__(self, path: Path, pictures: Sequence[Path], rate: Fraction) -> None:
        self.path, self.pictures = path, pictures
        self.size = picture_size(pictures[0])
        self.count: int | None = len(pictures)
        self.format = VideoFormat(rate, 1 / rate)
        self.damage: str | None = None
        names = Counter(picture.stem for picture in pictures)
        for picture in pictures:
            if (size := picture_size(picture)) != self.size:
                raise UserError(
                    f"{picture}: is {in_words(size)}, but the first frame {pictures[0].name} is "
                    f"{in_words(self.size)}; keep frames of one size in a folder"
                )
            if names[picture.stem] > 1:
                raise UserError(f"{picture}: another frame is named {picture.stem}; remove one")

    def __iter__(self) -> Iterator[Frame]:
        """Read the pictures."""
        for index, picture in enumerate(self.pictures):
            time = index * self.format.time_base
            yield Frame(read_picture(picture), picture.stem, time, read_profile(picture))


class VideoReader:
    """The frames of a video file, upright and in 8 bits, in the order in which they are shown.

    Packets that cannot be decoded are passed over; the frames around them keep their times, and
    ``damage`` tells of it afterwards.

    Args:
        path: anything that FFmpeg decodes.

    Raises:
        UserError: the file is missing, no video, has no video stream or not one frame that can be
            decoded; during iteration, the frames change their size.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: str | None = None
        with _open(path) as container:
            stream = _video_stream(container, path)
            first = next(_Decoding(container, stream).frames(), None)
            if first is None:
                raise UserError(f"{path}: not one frame of it can be decoded; replace it")
            height, width, _ = _upright(
                np.empty((first.height, first.width, 3), np.uint8), first
            ).shape
            self.size = height, width
            self.count = stream.frames or None
            self.format = _format(stream, first)
            if max(component.bits for component in first.format.components) > 8:
                _log.warning("%s: has more than 8 bits a channel; it is restored in 8", path)

    def __iter__(self) -> Iterator[Frame]:
        """Decode the video."""
        self.damage = None
        reformatter = VideoReformatter()
        with _open(self.path) as container:
            stream = _video_stream(container, self.path)
            decoding = _Decoding(container, stream)
            for index, frame in enumerate(decoding.frames()):
                image = _upright(self.format.colour.to_rgb(frame, reformatter), frame)
                if image.shape[:2] != self.size:
                    raise UserError(
                        f"{self.path}: frame {index} is {in_words(image.shape)}, but the first is "
                        f"{in_words(self.size)}; cut the video where its size changes"
                    )
                time = index / self.format.rate  # for files without time stamps
                if frame.pts is not None:
                    time = frame.pts * self.format.time_base
                yield Frame(np.ascontiguousarray(image), f"{index:08d}", time)
            self.damage = decoding.damage()


class _Decoding:
    """One pass over a video stream that notes what is damaged.

    FFmpeg takes the end of the file for the end of the video without a word, so that only the
    header tells that frames are missing.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        stream.thread_type = "SLICE"  # threads over frames lose good frames next to damaged ones
        self._damaged, self._packets, self._end = False, 0, Fraction(0)

    def frames(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                self._damaged |= packet.is_corrupt
                self._packets += packet.size > 0 and not packet.is_corrupt
                frames = packet.decode()
            except StopIteration:
                return
            except av.FFmpegError:
                self._damaged = True
                continue
            for frame in frames:
                assert isinstance(frame, av.VideoFrame)
                self._damaged |= frame.is_corrupt
                if frame.pts is not None:
                    end = (frame.pts + frame.duration) * Fraction(self._stream.time_base or 0)
                    self._end = max(self._end, end)
                yield frame

    def damage(self) -> str | None:
        if (missing := self._missing()) > 0:
            return f"is cut off; frames missing at its end: {missing}"
        return "is damaged: some frames are missing or wrong" if self._damaged else None

    def _missing(self) -> int:
        if self._container.format.name.startswith("mov"):  # and MP4, with an index of all packets
            return len(self._stream.index_entries) - self._packets
        declared = _MATROSKA_TIME.fullmatch(self._stream.metadata.get("DURATION", ""))
        if declared is None:
            return 0
        hours, minutes, seconds = map(Fraction, declared.groups())
        end = 3600 * hours + 60 * minutes + seconds
        missing = round((end - self._end) * _rate(self._stream))
        return missing if missing > 1 else 0  # how long the last frame lasts is uncertain


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path), "r")
    except av.error.InvalidDataError:
        raise UserError(f"{path}: not a video, or one that is cut off; replace it") from None
    except av.FFmpegError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    for stream in container.streams.video:
        is_cover = stream.disposition & Disposition.attached_pic  # of a song
        if stream.codec_context is not None and not is_cover:
            return stream
    raise UserError(f"{path}: has no video stream that can be decoded; name another file")


def _format(stream: VideoStream, first: av.VideoFrame) -> VideoFormat:
    sideways = _display_matrix(first)[0] == 0
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    rate = _rate(stream)
    return VideoFormat(
        rate=rate,
        time_base=Fraction(stream.time_base or 1 / rate),
        colour=Colour.of(first),
        chroma=_chroma(first.format),
        pixel_aspect=1 / aspect if sideways else aspect,
    )


def _chroma(pixels: av.VideoFormat) -> str:
    if len(pixels.components) < 3:
        return "yuv420p"  # grey
    of_two_by_two = pixels.chroma_width(2), pixels.chroma_height(2)
    return {(2, 2): "yuv444p", (1, 2): "yuv422p"}.get(of_two_by_two, "yuv420p")


def _rate(stream: VideoStream) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or 25)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Signs (a, b, c, d) of what turns a stored frame upright: x' = ax + cy, y' = bx + dy."""
    # PyAV's annotation knows of motion vectors only.
    side_data = cast("SideDataContainer", frame.side_data).get("DISPLAYMATRIX")
    if side_data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.sign(np.frombuffer(bytes(side_data), np.int32))[:5].tolist()
    return a, b, c, d


def _upright(image: Picture, frame: av.VideoFrame) -> Picture:
    a, b, c, d = _display_matrix(frame)
    if a == 0:
        image, a, d = image.swapaxes(0, 1), c, b
    image = image[:, ::-1] if a < 0 else image
    return image[::-1] if d < 0 else image
