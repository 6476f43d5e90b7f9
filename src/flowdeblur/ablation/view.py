"""What a sweep looks like while it runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from flowdeblur.ablation.jobs import Job, State, count_states

_MARKS = {
    State.DONE: "done",
    State.RUNNING: "running",
    State.STOPPED: "stopped",
    State.FAILED: "FAILED",
    State.WAITING: "waiting",
}


class View:
    """A table that redraws itself on a terminal; elsewhere a line for every change.

    Args:
        title: of the sweep.
        jobs: all of them.
        places: how many run at a time.
        stream: where to.
    """

    def __init__(self, title: str, jobs: Sequence[Job], places: int, stream: TextIO) -> None:
        self._title, self._jobs, self._places, self._stream = title, jobs, places, stream
        self._live = stream.isatty()
        self._began: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._shown: dict[str, State] = {}
        self._lines = 0
        self._drawn = 0.0

    def show(self, states: Mapping[str, State]) -> None:
        """Show the state of every job, by its name; cheap where nothing has changed."""
        now = time.monotonic()
        changed = [job for job in self._jobs if self._shown.get(job.name) != states[job.name]]
        for job in changed:
            if states[job.name] == State.RUNNING:
                self._began[job.name] = now
            elif job.name in self._began:
                self._seconds[job.name] = now - self._began.pop(job.name)
        first = not self._shown
        self._shown = dict(states)
        if self._live and (changed or now - self._drawn > 1):
            self._drawn = now
            self._redraw(states)
        elif not self._live:
            if first:
                print(f"{self._title}: {count_states(states)}", file=self._stream, flush=True)
            for job in changed:
                if not first or states[job.name] == State.RUNNING:
                    self._tell(job, states)

    def _tell(self, job: Job, states: Mapping[str, State]) -> None:
        done = sum(state == State.DONE for state in states.values())
        line = f"[{done}/{len(states)} done] {job.name}: {describe(job, states[job.name])}"
        print(f"{line}{self._left(states)}", file=self._stream, flush=True)

    def _redraw(self, states: Mapping[str, State]) -> None:
        size = shutil.get_terminal_size()
        lines = [f"{self._title}: {count_states(states)}{self._left(states)}"]
        room = size.lines - 3
        urgent = (State.RUNNING, State.FAILED, State.STOPPED)
        jobs = [job for job in self._jobs if states[job.name] in urgent or len(states) <= room]
        width = max((len(job.name) for job in jobs), default=0)
        for job in jobs[: max(room, 1)]:
            state = states[job.name]
            lines.append(f"  {_MARKS[state]:8} {job.name:{width}}  {_detail(job, state)}")
        back = f"\x1b[{self._lines}F\x1b[J" if self._lines else ""
        text = "\n".join(line[: size.columns - 1].rstrip() for line in lines)
        print(f"{back}{text}", file=self._stream, flush=True)
        self._lines = len(lines)

    def _left(self, states: Mapping[str, State]) -> str:
        """The time that is left, once there is something to tell it by."""
        now, ahead, known = time.monotonic(), 0.0, list(self._seconds.values())
        for job in self._jobs:
            if states[job.name] != State.RUNNING:
                continue
            step, speed = job.progress()
            if speed and job.steps:
                rest = max(job.steps - step, 0) / speed
                ahead += rest
                known.append(now - self._began.get(job.name, now) + rest)
        waiting = sum(state == State.WAITING for state in states.values())
        if not known or not (waiting or ahead):
            return ""
        seconds = (ahead + waiting * sum(known) / len(known)) / self._places
        return f"; about {duration(seconds)} left"


def describe(job: Job, state: State) -> str:
    """A job's state in words."""
    detail = _detail(job, state)
    return f"{state}, {detail}" if detail else str(state)


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _detail(job: Job, state: State) -> str:
    if state == State.DONE:
        metrics = job.metrics() or {}
        score = metrics.get("test", {}).get("psnr")
        parts = [f"test PSNR {score:.2f} dB"] if score is not None else []
        return ", ".join([*parts, f"trained for {duration(metrics.get('seconds', 0))}"])
    if state == State.FAILED:
        return f"{job.reason()} ({job.console})"
    step, speed = job.progress()
    if state == State.WAITING or not step:
        return ""
    detail = f"step {step}/{job.steps}" if job.steps else f"step {step}"
    return f"{detail}, {speed:.1f} steps/s" if state == State.RUNNING and speed else detail
