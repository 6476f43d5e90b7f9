"""Raw video through standard input and output, between programs such as FFmpeg."""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.video.clip import Frame, Sink, VideoFormat
from flowdeblur.video.codecs import Codec, Encoding
from flowdeblur.video.colour import Colour
from flowdeblur.video.reader import chroma_of
from flowdeblur.video.writer import Encoder

_LAYOUT = re.compile(r"(\d+)x(\d+)@(\d+(?:\.\d+)?(?:/\d+)?)(?::(\w+))?")
_PIXELS = ("rgb24", "rgb48le")
_WAIT_SECONDS = 0.1
_DEEP_Y4M = {"strict": "-1"}  # more than 8 bits are an extension of the format


@dataclass(frozen=True, slots=True)
class RawLayout:
    """What comes through a pipe.

    Attributes:
        size: (H, W); None for Y4M, which says it itself.
        rate: frames a second.
        pixels: ``rgb24`` or ``rgb48le``.
    """

    size: tuple[int, int] | None = None
    rate: Fraction = Fraction(25)
    pixels: str = "rgb24"

    @classmethod
    def parse(cls, text: str) -> RawLayout:
        """Read ``y4m`` or ``1280x720@30``, with ``:rgb48le`` for 16 bits.

        Raises:
            UserError: it is neither.
        """
        if text == "y4m":
            return cls()
        match = _LAYOUT.fullmatch(text)
        width, height, rate, pixels = match.groups() if match else ("0", "0", "1", None)
        with suppress(ZeroDivisionError):
            found = cls((int(height), int(width)), Fraction(rate), pixels or _PIXELS[0])
            if found.size and min(found.size) > 0 and found.rate > 0 and found.pixels in _PIXELS:
                return found
        raise UserError(
            f"--raw {text}: write y4m, or WIDTHxHEIGHT@RATE as 1280x720@30 or "
            "1920x1080@30000/1001:rgb48le"
        )

    @property
    def format(self) -> str:
        """FFmpeg's name of the format."""
        return "rawvideo" if self.size else "yuv4mpegpipe"

    @property
    def options(self) -> dict[str, str]:
        """Options that FFmpeg needs to read it."""
        if self.size is None:
            return {}
        size = f"{self.size[1]}x{self.size[0]}"
        return {"video_size": size, "framerate": str(self.rate), "pixel_format": self.pixels}


class PipeReader:
    """Frames from a pipe, which can be read once; see :class:`flowdeblur.video.clip.FrameReader`.

    Args:
        layout: what comes.
        stream: the pipe, binary.

    Raises:
        UserError: no frame comes, or not what ``layout`` says.
    """

    def __init__(self, layout: RawLayout, stream: IO[bytes]) -> None:
        self.path = Path("-")
        self.files: Sequence[Path] = ()
        self.count: int | None = None
        self.expected: int | None = None
        self.damage: str | None = None
        self._source = _Stoppable(stream)
        try:
            self._container = av.open(
                self._source, "r", format=layout.format, options=layout.options, buffer_size=2**20
            )
            self._frames = self._container.decode(video=0)
            self._first = next(self._frames)
        except (av.FFmpegError, StopIteration):
            kind = "Y4M" if layout.size is None else "a whole raw frame"
            raise UserError(f"-: the standard input holds no {kind}; check --raw") from None
        video = self._container.streams.video[0]
        rate = Fraction(video.average_rate or video.guessed_rate or layout.rate)
        pixels = self._first.format
        self.size = (self._first.height, self._first.width)
        self.format = VideoFormat(
            rate,
            1 / rate,
            Colour.of(self._first),
            chroma_of(pixels),
            Fraction(video.sample_aspect_ratio or 1),
            deep=max(component.bits for component in pixels.components) > 8,
        )

    def __iter__(self) -> Iterator[Frame]:
        """Read the frames that are left."""
        index, reformatter = 0, VideoReformatter()
        try:
            decoded: av.VideoFrame | None = self._first
            while decoded is not None:
                colour, deep = self.format.colour, self.format.deep
                image = np.ascontiguousarray(colour.to_rgb(decoded, reformatter, deep=deep))
                yield Frame(image, f"{index:08d}", index * self.format.time_base)
                index += 1
                decoded = next(self._frames, None)
        except av.FFmpegError as error:
            self.damage = f"is cut off after {index} frames ({error.strerror})"

    def close(self) -> None:
        """Wake up and end a thread that waits for the pipe."""
        self._source.stopped = True


@dataclass
class PipeOutput:
    """Raw frames to a pipe; see :class:`flowdeblur.video.outputs.Output`.

    Attributes:
        reader: the clip.
        layout: what to write; its size is the clip's.
        stream: the pipe, binary.
    """

    reader: PipeReader
    layout: RawLayout
    stream: IO[bytes]
    path: Path = Path("-")

    def begin(self, origin: str) -> Collection[str]:
        """Nothing can be resumed."""
        return ()

    @contextmanager
    def writing(self) -> Iterator[Sink]:
        """Open the pipe for frames.

        Raises:
            RuntimeFailureError: the program that reads it has ended.
        """
        codec = _RAW_YUV if self.layout.size is None else _RAW_RGB
        pipe = _Unseekable(self.stream)
        try:
            with (
                _noticing_the_end(self.stream),
                av.open(pipe, "w", format=self.layout.format, options=_DEEP_Y4M) as target,
            ):
                encoder = Encoder(target, self.reader.size, self.reader.format, Encoding(codec))
                yield encoder.encode
                encoder.finish()
            self.stream.flush()
        except (OSError, av.FFmpegError) as error:
            reason = (pipe.error or error).strerror or str(error)
            raise RuntimeFailureError(
                f"-: the standard output cannot be written ({reason})"
            ) from None


class _RawYUV(Codec):
    """YUV as it came, for Y4M."""


class _RawRGB(Codec):
    """RGB, 8 or 16 bits a channel."""

    def pixels(self, size: tuple[int, int], video_format: VideoFormat) -> str:
        return "rgb48le" if video_format.deep else "rgb24"


_RAW_YUV = _RawYUV("y4m", "rawvideo", (".y4m",))
_RAW_RGB = _RawRGB("rawvideo", "rawvideo", (".rgb",))


class _Stoppable:
    """A readable pipe whose waiting can be ended from another thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.stopped = stream, False
        # On Windows select takes sockets only.
        self._can_wait = sys.platform != "win32" and _is_file(stream)

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes; none at the end."""
        while self._can_wait and not self.stopped:
            if select.select([self._stream], [], [], _WAIT_SECONDS)[0]:
                break
        if self.stopped:
            return b""
        piece: bytes = getattr(self._stream, "read1", self._stream.read)(size)
        return piece


class _Unseekable:
    """A writable pipe without the methods that FFmpeg would take for a file's."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        """Write all bytes; keeps the error, which FFmpeg does not pass on."""
        try:
            return self._stream.write(content)
        except OSError as error:
            self.error = error
            raise


@contextmanager
def _noticing_the_end(stream: IO[bytes]) -> Iterator[None]:
    """Interrupt the main thread when the program that reads a pipe ends.

    Otherwise the next write would notice it, which may be long after. Not in other threads, and not
    on Windows.

    Raises:
        BrokenPipeError: it has ended.
    """
    main = threading.main_thread().ident
    if not hasattr(select, "poll") or threading.get_ident() != main or not _is_file(stream):
        yield
        return
    finished, broken = threading.Event(), threading.Event()

    def watch() -> None:
        poll = select.poll()
        poll.register(stream, 0)  # reports errors only
        while not finished.wait(_WAIT_SECONDS):
            if poll.poll(0):
                broken.set()
                signal.pthread_kill(main, signal.SIGINT)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        try:
            yield
        finally:
            finished.set()
            watcher.join()
    except KeyboardInterrupt:
        if broken.is_set():
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
        raise


def _is_file(stream: IO[bytes]) -> bool:
    """Whether a stream is one of the operating system's, and not bytes in memory."""
    try:
        stream.fileno()
    except OSError:
        return False
    return True


def open_pipes(raw: str, names: Sequence[str]) -> tuple[PipeReader, PipeOutput]:
    """Open standard input and output.

    Args:
        raw: see :meth:`RawLayout.parse`.
        names: IN and OUT.

    Raises:
        UserError: they are not both ``-``, or no frame comes.
    """
    if list(names) != ["-", "-"]:
        raise UserError("--raw: reads the standard input and writes the standard output: - -")
    layout = RawLayout.parse(raw)
    reader = PipeReader(layout, sys.stdin.buffer)
    return reader, PipeOutput(reader, layout, sys.stdout.buffer)
