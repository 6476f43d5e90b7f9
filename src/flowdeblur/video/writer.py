"""Frames into a video file, a folder of images or a single image.

Each function opens a ``with`` block and yields a callable that takes the frames. Videos and single
images are written atomically: nothing is left behind where the block raises, Ctrl-C included.
Folders are written image by image and can be resumed.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.files import replacing
from flowdeblur.video.clip import Frame, Sink, VideoFormat
from flowdeblur.video.codecs import Encoding
from flowdeblur.video.colour import FromRgb
from flowdeblur.video.decoding import file_url, open_video
from flowdeblur.video.images import ImageArray, write_image
from flowdeblur.video.journal import Journal
from flowdeblur.video.tracks import Tracks

_log = logging.getLogger(__name__)


@contextmanager
def writing_video(
    path: Path,
    size: tuple[int, int],
    video_format: VideoFormat,
    *,
    encoding: Encoding | None = None,
    source: Path | None = None,
    overwrite: bool = True,
) -> Iterator[Sink]:
    """Encode frames, each shown at its own time.

    Colour tags, pixel aspect, rate and, where the codec allows, depth and the resolution of colour
    are those of ``video_format``.

    Args:
        path: with one of the codec's suffixes.
        size: (H, W) of the frames.
        video_format: what to keep of the clip.
        encoding: codec and quality; H.264 in 8 bits without a choice.
        source: a video whose sound, subtitles, chapters, title, date and the like are kept, see
            :class:`~flowdeblur.video.tracks.Tracks`. Where the sound begins before zero, as AAC in
            MP4 does by 1024 samples, Matroska moves sound and frames alike, so that it begins at
            zero.
        overwrite: whether a file that another process writes meanwhile is replaced.

    Yields:
        What takes the frames, in the order of their times.

    Raises:
        UserError: the suffix is not one of the codec's, or this kind of file cannot hold the sound.
        RuntimeFailureError: the disk is full, or the file cannot be written for another reason.
    """
    encoding = encoding or Encoding()
    check_suffix(path, encoding)
    if video_format.deep and not encoding.codec.deep:
        _log.warning("%s: frames of more than 8 bits are written in 8; --codec hevc keeps 10", path)
    # Without it, the start of MP4 is kept in milliseconds only.
    ticks = {"movie_timescale": str(video_format.time_base.denominator)}
    with (
        _failing_at(path),
        replacing(path, overwrite=overwrite) as partial,
        av.open(
            file_url(partial), "w", options={} if path.suffix.lower() == ".mkv" else ticks
        ) as target,
        open_video(source) if source else nullcontext() as origin,
    ):
        encoder = Encoder(target, size, video_format, encoding)
        tracks = Tracks(origin, target, path) if origin else None

        def write(frame: Frame) -> None:
            if tracks:
                tracks.copy(until=frame.time)
            encoder.encode(frame)

        yield write
        encoder.finish()
        if tracks:
            tracks.copy()


@contextmanager
def writing_images(journal: Journal) -> Iterator[Sink]:
    """Write each frame as a PNG file with the frame's name, in the frame's depth.

    An image that cannot be decoded is copied as it is. Files of the same name in an existing
    folder are replaced, others stay. Where the block raises, the frames that are written stay, and
    ``journal`` knows them.

    Raises:
        RuntimeFailureError: the disk is full, or the folder cannot be written for another reason.
    """
    folder = journal.folder

    def write(frame: Frame) -> None:
        if frame.file:
            with replacing(folder / frame.file.name) as partial:
                shutil.copyfile(frame.file, partial)
        else:
            write_image(folder / f"{frame.name}.png", frame.image, profile=frame.profile)
        journal.note(frame)

    with _failing_at(folder):
        try:
            journal.begin()
            yield write
            journal.finish()
        finally:
            journal.leave()


@contextmanager
def writing_image(path: Path) -> Iterator[Sink]:
    """Write one frame to ``path``.

    Raises:
        UserError: it cannot be decoded.
        RuntimeFailureError: the disk is full, or the file cannot be written for another reason.
    """

    def write(frame: Frame) -> None:
        if frame.file:
            raise UserError(f"{frame.file}: cannot be decoded; {path} is not written")
        write_image(path, frame.image, profile=frame.profile)

    with _failing_at(path):
        yield write


def check_suffix(path: Path, encoding: Encoding) -> None:
    """See that a file of this suffix may hold a codec.

    Raises:
        UserError: it may not.
    """
    codec = encoding.codec
    if path.suffix.lower() not in codec.suffixes:
        known = ", ".join(codec.suffixes)
        raise UserError(f"{path}: {codec.name} goes into {known} files; name one, or a folder")


class Encoder:
    """Encodes frames into a stream of an open container."""

    def __init__(
        self,
        target: OutputContainer,
        size: tuple[int, int],
        video_format: VideoFormat,
        encoding: Encoding,
    ) -> None:
        self._target, self._format = target, video_format
        codec = encoding.codec
        self._deep = video_format.deep and codec.deep
        stream = target.add_stream(codec.encoder, rate=video_format.rate, options=encoding.options)
        assert isinstance(stream, VideoStream)
        self._stream = stream
        context = self._stream.codec_context
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = pixels = codec.pixels(size, video_format)
        context.time_base = video_format.time_base
        context.sample_aspect_ratio = video_format.pixel_aspect
        if codec.tag and target.format.name != "matroska":
            context.codec_tag = codec.tag
        colour = video_format.colour
        if codec.limited:
            colour = replace(colour, range=int(ColorRange.MPEG))
        colour.tag(context)
        self._convert = FromRgb(colour, size, pixels, deep=self._deep)
        self._last, self._count = -(2**62), 0

    def encode(self, frame: Frame) -> None:
        """Encode a frame at its own time."""
        encoded = self._convert(_at_depth(frame.image, deep=self._deep))
        # A broken source may repeat a time, and an encoder takes each one only once.
        self._last = max(round(frame.time / self._format.time_base), self._last + 1)
        self._count += 1
        encoded.pts, encoded.time_base = self._last, self._format.time_base
        self._target.mux(self._stream.encode(encoded))

    def finish(self) -> None:
        """Write the frames that the encoder still holds."""
        packets = self._stream.encode(None)
        if self._count <= 2:  # too few to be reordered; x265 for 10 bits leaves dts to chance then
            for packet in packets:
                packet.dts = packet.pts
        self._target.mux(packets)


@contextmanager
def _failing_at(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or str(error)
        remedy = "free disk space, or name another OUT" if _is_full(error) else "name another OUT"
        raise RuntimeFailureError(f"{path}: cannot be written ({reason}); {remedy}") from None


def _is_full(error: Exception) -> bool:
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _at_depth(image: ImageArray, *, deep: bool) -> ImageArray:
    if deep == (image.dtype == np.uint16):
        return image
    if deep:
        return image.astype(np.uint16) * np.uint16(257)
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
