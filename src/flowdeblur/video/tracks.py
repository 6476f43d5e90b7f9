"""What a video contains besides its frames: sound, subtitles, chapters, title and date."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from flowdeblur.errors import UserError

_OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder", "DURATION")

_KINDS = {"data": "data stream (such as a camera's telemetry)"}

_log = logging.getLogger(__name__)

Track = AudioStream | SubtitleStream


class Tracks:
    """Copies sound and subtitles without encoding, in step with the frames; chapters and the like.

    Subtitles that the output cannot hold and data streams are left out with a warning.

    Args:
        source: the video.
        target: the output, before anything is written to it.
        path: the output, for messages.

    Raises:
        UserError: this kind of file cannot hold the sound.
    """

    def __init__(self, source: InputContainer, target: OutputContainer, path: Path) -> None:
        self._target, self._name = target, (source.name or "").removeprefix("file:")
        self._streams: dict[int, Track] = {}
        left_out: Counter[str] = Counter()
        for stream in source.streams:
            if isinstance(stream, AudioStream | SubtitleStream) and _held_by(target, stream):
                self._streams[stream.index] = _added(target, stream)
            elif isinstance(stream, AudioStream):
                raise UserError(
                    f"{path}: this kind of file cannot contain {_codec(stream)} sound; "
                    "name a .mkv file"
                )
            else:
                left_out[stream.type] += 1
        left_out["video"] -= 1  # the one that is restored
        for kind, number in (+left_out).items():
            what = _KINDS.get(kind, kind)
            _log.warning("%s: not copied to %s: %d x %s", self._name, path.name, number, what)
        target.metadata.update(_kept(source.metadata))
        target.set_chapters(
            [{**each, "metadata": _kept(each["metadata"])} for each in source.chapters()]
        )
        self._packets = self._read(source, [source.streams[index] for index in self._streams])
        self._next = next(self._packets, None)

    def copy(self, *, until: Fraction | None = None) -> None:
        """Copy what begins up to a time in seconds; None copies all that is left."""
        while self._next and (until is None or _time(self._next) <= until):
            self._next.stream = self._streams[self._next.stream.index]
            self._target.mux(self._next)
            self._next = next(self._packets, None)

    def _read(self, source: InputContainer, streams: list[Stream]) -> Iterator[Packet[Stream]]:
        if not streams:
            return  # asked for no stream, FFmpeg reads them all
        damaged = False
        try:
            for packet in source.demux(streams):
                if packet.is_corrupt:
                    damaged = True
                elif packet.dts is not None:
                    yield packet
        except av.FFmpegError as error:
            _log.warning("%s: its sound is damaged and ends early (%s)", self._name, error.strerror)
        if damaged:
            _log.warning("%s: damaged pieces of its sound are left out", self._name)


def _added(target: OutputContainer, stream: Track) -> Track:
    copied: Track = target.add_stream_from_template(stream)
    # The language, "forced" and the like, which a template leaves out.
    copied.metadata.update(_kept(stream.metadata))
    copied.disposition = stream.disposition
    return copied


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {
        readable(key): readable(text) for key, text in metadata.items() if key not in _OF_THE_FILE
    }


def readable(text: str) -> str:
    """Read text of metadata that is not UTF-8, and so came with surrogates, as Latin-1."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1") if _damaged(text) else text


def _damaged(text: str) -> bool:
    return any("\udc80" <= each <= "\udcff" for each in text)


def _held_by(target: OutputContainer, stream: Track) -> bool:
    return _codec(stream) in target.supported_codecs


def _codec(stream: Track) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _time(packet: Packet[Stream]) -> Fraction:
    return (packet.pts if packet.pts is not None else packet.dts or 0) * packet.time_base
