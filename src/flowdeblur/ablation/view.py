"""The progress of a sweep on the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from flowdeblur.ablation.jobs import State, SweepJob, count_states

_COLORS = {State.DONE: "green", State.RUNNING: "cyan", State.FAILED: "bold red"}
_SHOWN_FIRST = (State.RUNNING, State.FAILED, State.DAMAGED, State.STOPPED)


class SweepView:
    """A live table on a terminal; elsewhere, a line for every change.

    Args:
        title: name of the sweep.
        jobs: all jobs.
        places: number of jobs that run at a time.
        stream: output.
    """

    def __init__(self, title: str, jobs: Sequence[SweepJob], places: int, stream: TextIO) -> None:
        self._title, self._jobs, self._places = title, jobs, places
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._began: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._shown: dict[str, State] = {}
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
        first, self._shown = not self._shown, dict(states)
        if not self._console.is_terminal:
            self._print(changed, states, first)
        elif changed or now - self._drawn > 1:
            self._drawn = now
            self._live.start()  # does nothing if it has started
            self._live.update(self._table(states), refresh=True)
            if not {State.WAITING, State.RUNNING} & set(states.values()):
                self.close()

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()

    def _print(self, changed: Sequence[SweepJob], states: Mapping[str, State], first: bool) -> None:
        lines = [f"{self._title}: {count_states(states)}"] if first else []
        done = sum(state == State.DONE for state in states.values())
        lines += [
            f"[{done}/{len(states)} done] {job.name}: {describe(job, states[job.name])}"
            f"{self._left(states)}"
            for job in changed
            if not first or states[job.name] == State.RUNNING
        ]
        for line in lines:
            self._console.print(line, soft_wrap=True)

    def _table(self, states: Mapping[str, State]) -> Table:
        table = Table(box=None, show_header=False, title_justify="left", title_style="")
        table.title = f"{self._title}: {count_states(states)}{self._left(states)}"
        room = max(self._console.height - 3, 1)
        jobs = [
            job for job in self._jobs if states[job.name] in _SHOWN_FIRST or len(states) <= room
        ]
        for job in jobs[:room]:
            state = states[job.name]
            table.add_row(state, job.name, detail(job, state), style=_COLORS.get(state, ""))
        return table

    def _left(self, states: Mapping[str, State]) -> str:
        """Estimate the time left, once there is a measurement."""
        now, ahead, known = time.monotonic(), 0.0, list(self._seconds.values())
        for job in self._jobs:
            progress = job.progress() if states[job.name] == State.RUNNING else None
            if progress and progress.seconds_left is not None:
                ahead += progress.seconds_left
                known.append(now - self._began.get(job.name, now) + progress.seconds_left)
        waiting = sum(state == State.WAITING for state in states.values())
        if not known or not (waiting or ahead):
            return ""
        seconds = (ahead + waiting * sum(known) / len(known)) / self._places
        return f"; about {duration(seconds)} left"


def describe(job: SweepJob, state: State) -> str:
    """Describe the state of a job."""
    more = detail(job, state)
    return f"{state}, {more}" if more else str(state)


def duration(seconds: float) -> str:
    """Write a duration with its unit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def detail(job: SweepJob, state: State) -> str:
    """What else is known about a job: its score, its step, or why it failed."""
    if state == State.DONE:
        metrics = job.metrics() or {}
        scores, seconds = metrics.get("test"), metrics.get("seconds")
        score = scores.get("psnr") if isinstance(scores, dict) else None
        parts = [f"test PSNR {score:.2f} dB"] if isinstance(score, float) else []
        if isinstance(seconds, int | float):
            parts.append(f"trained for {duration(seconds)}")
        return ", ".join(parts)
    if state == State.FAILED:
        return f"{job.reason()} ({job.console})"
    if state == State.DAMAGED:
        return f"delete {job.folder / 'metrics.json'} to run again"
    progress = job.progress()
    if state == State.WAITING or progress is None:
        return ""
    text = f"step {progress.step}/{progress.max_steps}"
    return f"{text}, {progress.steps_per_second:.1f} steps/s" if state == State.RUNNING else text
