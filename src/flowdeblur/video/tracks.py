"""What a video holds beside its pictures: sound, subtitles, chapters, title and date."""

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

_log = logging.getLogger(__name__)

Track = AudioStream | SubtitleStream


class Tracks:
    """Copies sound and subtitles without encoding, in step with the frames; chapters and the like.

    Subtitles that the output cannot hold and data streams are left out with a warning.

    Args:
        source: the video.
        target: the output, before anything is written to it.
        path: of the output, for messages.

    Raises:
        UserError: this kind of file cannot hold the sound.
    """

    def __init__(self, source: InputContainer, target: OutputContainer, path: Path) -> None:
        self._target = target
        self._streams: dict[int, Track] = {}
        left_out: Counter[str] = Counter()
        for stream in source.streams:
            if isinstance(stream, AudioStream | SubtitleStream) and _held_by(target, stream):
                self._streams[stream.index] = _added(target, stream)
            elif isinstance(stream, AudioStream):
                raise UserError(
                    f"{path}: this kind of file holds no {_codec(stream)} sound; name a .mkv file"
                )
            else:
                left_out[stream.type] += 1
        left_out["video"] -= 1  # the one that is restored
        for kind, number in (+left_out).items():
            _log.warning("%s: not copied: %d x %s", source.name, number, kind)
        target.metadata.update(_kept(source.metadata))
        target.set_chapters(source.chapters())
        self._packets = _packets(source, [source.streams[index] for index in self._streams])
        self._next = next(self._packets, None)

    def copy(self, *, until: Fraction | None = None) -> None:
        """Copy what begins up to a time in seconds; None copies all that is left."""
        while self._next and (until is None or _time(self._next) <= until):
            self._next.stream = self._streams[self._next.stream.index]
            self._target.mux(self._next)
            self._next = next(self._packets, None)


def _added(target: OutputContainer, stream: Track) -> Track:
    copied: Track = target.add_stream_from_template(stream)
    # The language, "forced" and the like, which a template leaves out.
    copied.metadata.update(_kept(stream.metadata))
    copied.disposition = stream.disposition
    return copied


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {key: text for key, text in metadata.items() if key not in _OF_THE_FILE}


def _held_by(target: OutputContainer, stream: Track) -> bool:
    return _codec(stream) in target.supported_codecs


def _codec(stream: Track) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _packets(source: InputContainer, streams: list[Stream]) -> Iterator[Packet[Stream]]:
    if not streams:
        return  # asked for no stream, FFmpeg reads them all
    try:
        for packet in source.demux(streams):
            if packet.is_corrupt:
                _log.warning("%s: a damaged piece of its sound is left out", source.name)
            elif packet.dts is not None:
                yield packet
    except av.FFmpegError as error:
        _log.warning("%s: its sound is damaged and ends early (%s)", source.name, error.strerror)


def _time(packet: Packet[Stream]) -> Fraction:
    return (packet.pts if packet.pts is not None else packet.dts or 0) * packet.time_base
