"""Limits of the demo's uploads, and a clip that keeps to them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowdeblur.errors import UserError
from flowdeblur.video.clip import Frame, FrameReader


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of uploads.

    Attributes:
        megabytes: size of all files of an upload together.
        frames: length of a clip.
        pixels: size of a frame.
        jobs: uploads that are kept or wait; the oldest idle one is removed for a new one.
        seconds: after which an upload and its results are removed.
    """

    megabytes: int = 200
    frames: int = 150
    pixels: int = 1920 * 1088
    jobs: int = 4
    seconds: float = 3600


class StoppedError(Exception):
    """The user cancelled the job."""


class LimitedReader:
    """A clip that ends with an error at a limit, or when its job is cancelled.

    Args:
        reader: the clip.
        stopped: is set when the job is cancelled.
        frames: the limit.

    Raises:
        UserError: the clip is longer.
    """

    def __init__(self, reader: FrameReader, stopped: threading.Event, frames: int) -> None:
        self._reader, self._stopped, self._frames = reader, stopped, frames
        self.path: Path = reader.path
        self.files: Sequence[Path] = reader.files
        self.size, self.format = reader.size, reader.format
        self.count, self.expected = reader.count, reader.expected
        self.damage: str | None = None
        if reader.expected is not None and reader.expected > frames:
            raise self._too_long()

    def __iter__(self) -> Iterator[Frame]:
        """Read the clip."""
        for number, frame in enumerate(self._reader):
            if self._stopped.is_set():
                raise StoppedError
            if number == self._frames:  # the header was wrong
                raise self._too_long()
            yield frame
        self.damage = self._reader.damage

    def _too_long(self) -> UserError:
        return UserError(
            f"{self.path}: more than {self._frames} frames; cut it shorter, "
            "or use flowdeblur deblur"
        )
