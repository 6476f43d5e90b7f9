"""Opening a video file with FFmpeg, and one pass over it that records what is damaged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from flowdeblur.errors import UserError
from flowdeblur.files import demand_regular

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,asf,flv"
"""FFmpeg's names of the formats that are read; scripts and playlists would open other files."""

_JUMP_S = Fraction(1, 2)
"""A time further back than this is not jitter: two recordings were joined there."""

_MATROSKA_TIME = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


class Decoded(NamedTuple):
    """A frame as it comes out of the decoder.

    Attributes:
        frame: not upright yet; where nothing could be decoded, the previous frame.
        time: when it is shown, in seconds.
        damaged: whether ``frame`` cannot be trusted.
    """

    frame: av.VideoFrame
    time: Fraction
    damaged: bool


class Decoding:
    """One pass over a video stream.

    FFmpeg silently takes the end of the file for the end of the video, so that only the header
    shows that frames are missing.

    Args:
        container: at its start.
        stream: of the container.
        path: for messages.

    Raises:
        UserError: during iteration, the time stamps jump back.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, path: Path) -> None:
        self._container, self._stream, self._path = container, stream, path
        stream.thread_type = "SLICE"  # threads over frames lose good frames next to damaged ones
        self._packets, self._frames, self._end = 0, 0, Fraction(0)
        self._latest: Fraction | None = None  # time of the frame before
        self._lost: set[int] = set()  # presentation times of packets without a frame
        self._doubtful: set[int] = set()  # of packets that the container calls corrupt
        self._damaged: list[int] = []
        self._uncertain = False

    def frames(self) -> Iterator[Decoded]:
        """Decode the stream, with a frame for every packet, damaged or not."""
        last: av.VideoFrame | None = None
        for frame in self._decode():
            if frame.pts is not None:
                before = sorted(pts for pts in self._lost if pts < frame.pts)
                self._lost.difference_update([*before, frame.pts])
                for pts in before:
                    yield self._next(last or frame, pts, damaged=True)
            damaged = frame.is_corrupt or frame.pts in self._doubtful
            yield self._next(frame, frame.pts, damaged=damaged)
            last = frame
        if last is not None:
            for pts in sorted(self._lost):
                yield self._next(last, pts, damaged=True)

    def damage(self) -> str | None:
        """Describe after the last frame what is wrong with the file; None if nothing."""
        found = []
        if (missing := self._missing()) > 0:
            found.append(f"is cut off; frames missing at its end: {missing}")
        if self._damaged:
            found.append(passed_through(self._damaged))
        elif self._uncertain and not found:
            found.append("is damaged: some frames are missing or wrong")
        return "; ".join(found) or None

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            pts = None
            try:
                packet = next(packets)
                pts = None if packet.is_discard else packet.pts
                self._packets += packet.size > 0
                if packet.is_corrupt:
                    self._uncertain = True
                    self._doubtful.update(() if pts is None else (pts,))
                frames = packet.decode()
            except StopIteration:
                return
            except av.FFmpegError:
                self._uncertain = True
                self._lost.update(() if pts is None else (pts,))
                continue
            for frame in frames:
                assert isinstance(frame, av.VideoFrame)
                yield frame

    def _next(self, frame: av.VideoFrame, pts: int | None, *, damaged: bool) -> Decoded:
        number, base = self._frames, Fraction(self._stream.time_base or 0)
        self._frames += 1
        time = number / rate_of(self._stream) if pts is None else pts * base
        if self._latest is not None and time < self._latest - _JUMP_S:
            raise UserError(
                f"{self._path}: its time stamps jump back at frame {number}, as where recordings "
                "were joined; write it anew, for example: ffmpeg -i IN -c copy OUT.mkv"
            )
        self._latest = time
        self._end = max(self._end, time + frame.duration * base)
        if damaged:
            self._damaged.append(number)
        return Decoded(frame, time, damaged)

    def _missing(self) -> int:
        if self._container.format.name.startswith("mov"):  # and MP4, with an index of all packets
            return len(self._stream.index_entries) - self._packets
        declared = _MATROSKA_TIME.fullmatch(self._stream.metadata.get("DURATION", ""))
        if declared is None:
            return 0
        hours, minutes, seconds = map(Fraction, declared.groups())
        end = 3600 * hours + 60 * minutes + seconds
        missing = round((end - self._end) * rate_of(self._stream))
        return missing if missing > 1 else 0  # how long the last frame lasts is uncertain


def open_video(path: Path) -> InputContainer:
    """Open a file for reading; no other file is opened, whatever it says.

    Text of its metadata that is not UTF-8 comes with surrogates, see
    :func:`flowdeblur.video.tracks.readable`.

    Raises:
        UserError: it is missing, not a regular file, cannot be read, or is not a video.
    """
    demand_regular(path)
    try:
        return av.open(
            file_url(path),
            "r",
            options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="surrogateescape",
        )
    except (av.error.InvalidDataError, av.error.ArgumentError):  # the latter: not in the list
        raise UserError(f"{path}: not a video, or one that is cut off; replace it") from None
    except av.FFmpegError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None


def file_url(path: Path) -> str:
    """The address of a file for FFmpeg, which takes what stands before a colon for a protocol."""
    return f"file:{path}"


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Find the stream to restore: the first that can be decoded and is not a song's cover.

    Raises:
        UserError: there is none.
    """
    for stream in container.streams.video:
        is_cover = stream.disposition & Disposition.attached_pic
        if stream.codec_context is not None and not is_cover:
            return stream
    raise UserError(f"{path}: has no video stream that can be decoded; name another file")


def rate_of(stream: VideoStream) -> Fraction:
    """Frames a second; the mean where it varies."""
    return Fraction(stream.average_rate or stream.guessed_rate or 25)


def passed_through(frames: Sequence[object]) -> str:
    """Describe which frames were not restored because they are damaged."""
    shown = [str(each) for each in frames[:10]]
    more = f" and {len(frames) - 10} more" if len(frames) > 10 else ""
    return f"damaged frames, passed through as they are: {', '.join(shown)}{more}"
