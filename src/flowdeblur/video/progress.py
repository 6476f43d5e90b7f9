"""How far a restoration is, how fast it goes and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a restoration after a frame.

    Attributes:
        done: frames that are finished, those of an interrupted command included.
        total: frames of the clip, possibly an estimate; None if unknown.
        fresh: frames that this command has finished.
        seconds: since this command began.
    """

    done: int
    total: int | None
    fresh: int
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """Mean speed of this command; 0 before the first frame."""
        return self.fresh / self.seconds if self.fresh and self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time that the rest takes at this speed; None if unknown."""
        if self.total is None or not self.fresh:
            return None
        return max(0, self.total - self.done) * self.seconds / self.fresh


OnProgress = Callable[[Progress], None]


def counted(items: Iterable[T], total: int | None, before: int, report: OnProgress) -> Iterator[T]:
    """Pass items on, and report after each that the caller has finished.

    Args:
        items: the frames.
        total: see :class:`Progress`.
        before: frames that an earlier command finished.
        report: is called with the progress.
    """
    start = time.perf_counter()
    report(Progress(before, total, 0, 0.0))
    for fresh, item in enumerate(items, 1):
        yield item
        report(Progress(before + fresh, total, fresh, time.perf_counter() - start))


def duration(seconds: float) -> str:
    """Write a duration as people do: ``12 s``, ``3 min 5 s`` or ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
