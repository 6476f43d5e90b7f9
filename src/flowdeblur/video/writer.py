"""Frames into a video file, a folder of pictures or a single picture.

Each function opens a ``with`` block and yields what takes the frames. The output appears under its
name when the block ends, and nothing is left behind where the block raises, Ctrl-C included.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from flowdeblur.errors import UserError
from flowdeblur.files import filling, replacing
from flowdeblur.pictures import Picture, write_picture
from flowdeblur.video.clip import Frame, Sink, VideoFormat
from flowdeblur.video.colour import FromRgb

WRITABLE_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
"""Containers of H.264 that keep the times of frames."""

_OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder")

_log = logging.getLogger(__name__)


@contextmanager
def writing_video(
    path: Path,
    size: tuple[int, int],
    video_format: VideoFormat,
    *,
    crf: int,
    source: Path | None = None,
) -> Iterator[Sink]:
    """Encode frames with H.264 in 8 bits, each shown at its own time.

    Colour tags, pixel aspect and rate are those of ``video_format``. So is the resolution of
    colour, except that videos of odd width or height become yuv444p, which needs no pairs of
    pixels; browsers and hardware decoders may refuse it.

    Args:
        path: with one of ``WRITABLE_SUFFIXES``.
        size: (H, W) of the frames.
        video_format: what to keep of the clip.
        crf: constant rate factor of x264, 0 (lossless) to 51; 17 is hard to tell from the frames.
        source: a video whose sound is copied as it is, without encoding, and whose title, date
            and the like are kept. Subtitles, chapters and data streams are not copied. Where the
            sound begins before zero, as AAC in MP4 does by 1024 samples, Matroska moves sound and
            frames alike, so that it begins at zero.

    Yields:
        What takes the frames, in the order of their times.

    Raises:
        UserError: the suffix is unknown, or this kind of file cannot hold the sound.
    """
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise UserError(f"{path}: unknown suffix; name a {', '.join(WRITABLE_SUFFIXES)} file")
    # Without it, the start of MP4 is kept in milliseconds only.
    ticks = {} if path.suffix.lower() == ".mkv" else {"movie_timescale": _ticks(video_format)}
    with (
        replacing(path) as partial,
        av.open(str(partial), "w", options=ticks) as target,
        av.open(str(source), "r") if source else nullcontext() as origin,
    ):
        encoder = _Encoder(target, size, video_format, crf)
        sound = _Sound(origin, target, path) if origin else None

        def write(frame: Frame) -> None:
            if sound:
                sound.copy(until=frame.time)
            encoder.encode(frame)

        yield write
        encoder.finish()
        if sound:
            sound.copy()


@contextmanager
def writing_pictures(folder: Path) -> Iterator[Sink]:
    """Write each frame as a PNG file with the frame's name, in the frame's depth.

    Files of the same name in an existing folder are replaced, others stay.
    """
    with filling(folder) as partial:
        yield lambda frame: write_picture(
            partial / f"{frame.name}.png", frame.image, profile=frame.profile
        )


@contextmanager
def writing_picture(path: Path) -> Iterator[Sink]:
    """Write one frame to ``path``."""
    yield lambda frame: write_picture(path, frame.image, profile=frame.profile)


class _Encoder:
    def __init__(
        self, target: OutputContainer, size: tuple[int, int], video_format: VideoFormat, crf: int
    ) -> None:
        self._target, self._format = target, video_format
        self._stream = target.add_stream(
            "libx264", rate=video_format.rate, options={"crf": str(crf)}
        )
        self._stream.height, self._stream.width = size
        odd = size[0] % 2 or size[1] % 2
        self._stream.pix_fmt = "yuv444p" if odd else video_format.chroma
        self._stream.codec_context.time_base = video_format.time_base
        self._stream.codec_context.sample_aspect_ratio = video_format.pixel_aspect
        video_format.colour.tag(self._stream.codec_context)
        self._convert = FromRgb(video_format.colour, size, self._stream.pix_fmt)
        self._last = -(2**62)

    def encode(self, frame: Frame) -> None:
        encoded = self._convert(_to_eight_bits(frame.image))
        # A broken source may repeat a time, and an encoder takes each one only once.
        self._last = max(round(frame.time / self._format.time_base), self._last + 1)
        encoded.pts, encoded.time_base = self._last, self._format.time_base
        self._target.mux(self._stream.encode(encoded))

    def finish(self) -> None:
        self._target.mux(self._stream.encode(None))


class _Sound:
    """Copies the packets of all sound streams, in step with the frames."""

    def __init__(self, source: InputContainer, target: OutputContainer, path: Path) -> None:
        self._target = target
        self._streams: dict[int, AudioStream] = {}
        for stream in source.streams.audio:
            codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            if codec not in target.supported_codecs:
                raise UserError(
                    f"{path}: this kind of file holds no {codec} sound; name a .mkv file"
                )
            self._streams[stream.index] = target.add_stream_from_template(stream)
        target.metadata.update(
            {key: text for key, text in source.metadata.items() if key not in _OF_THE_FILE}
        )
        others = Counter(each.type for each in source.streams if each.type != "audio")
        others["video"] -= 1  # the one that is restored
        for kind, number in (+others).items():
            _log.warning("%s: not copied: %d x %s", source.name, number, kind)
        self._packets = _sound_packets(source)
        self._next = next(self._packets, None)

    def copy(self, *, until: Fraction | None = None) -> None:
        while self._next and (until is None or _time(self._next) <= until):
            self._next.stream = self._streams[self._next.stream.index]
            self._target.mux(self._next)
            self._next = next(self._packets, None)


def _sound_packets(source: InputContainer) -> Iterator[Packet[AudioStream]]:
    if not source.streams.audio:
        return  # asked for no stream, FFmpeg reads them all
    try:
        for packet in source.demux(source.streams.audio):
            if packet.is_corrupt:
                _log.warning("%s: a damaged piece of its sound is left out", source.name)
            elif packet.dts is not None:
                yield packet
    except av.FFmpegError as error:
        _log.warning("%s: its sound is damaged and ends early (%s)", source.name, error.strerror)


def _time(packet: Packet[AudioStream]) -> Fraction:
    return (packet.pts if packet.pts is not None else packet.dts or 0) * packet.time_base


def _ticks(video_format: VideoFormat) -> str:
    return str(video_format.time_base.denominator)


def _to_eight_bits(image: Picture) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
