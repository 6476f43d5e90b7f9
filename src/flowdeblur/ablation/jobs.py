"""A run of a sweep as a job: its folder, its command line, and how far it has come."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from flowdeblur.ablation.sweep import Point
from flowdeblur.errors import UserError

_PROGRESS = re.compile(r"step (\d+)/\d+ .*?([\d.]+) steps/s")
_EXIT = "exit status "
_ASKED_TO_END = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
# Of a process that a signal ended, by itself and as a shell or a launcher tells it.
_IN_GOOD_ORDER = {0, *(-number for number in _ASKED_TO_END), *(128 + n for n in _ASKED_TO_END)}


class State(StrEnum):
    """How far a job has come, as its folder shows it to any process."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPED = "stopped"  # by max_minutes or a signal: the same command goes on from its checkpoint
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class Job:
    """A run, and where it takes place.

    Attributes:
        point: of the sweep.
        folder: the run's.
        steps: the budget; None where it is not known.
        devices: how many a run uses.
    """

    point: Point
    folder: Path
    steps: int | None = None
    devices: int = 1

    @property
    def name(self) -> str:
        """Of the run."""
        return self.point.name

    @property
    def console(self) -> Path:
        """Where what the run prints goes."""
        return self.folder / "console.log"

    def command(self) -> list[str]:
        """The command line of the run, a process of its own."""
        path = str(self.folder)
        if not re.fullmatch(r"[\w./+-]+", path):  # Hydra's grammar wants it quoted
            path = "'" + path.replace("'", "\\'") + "'"
        module = [sys.executable, "-m", "flowdeblur.cli.train"]
        return [*module, *self.point.overrides, f"hydra.run.dir={path}"]

    def metrics(self) -> dict[str, Any] | None:
        """What a finished run has written; None before."""
        try:
            content: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.folder / 'metrics.json'}: cannot be read ({error}); delete it to run again"
            ) from None
        return content

    def done(self) -> bool:
        """Whether the run has reached its budget and been scored."""
        metrics = self.metrics()
        return metrics is not None and (self.steps is None or metrics["steps"] >= self.steps)

    def state(self) -> State:
        """What the folder shows."""
        if self.done():
            return State.DONE
        if not self.folder.exists():
            return State.WAITING
        claim = self.claim()
        if claim is None:
            return State.RUNNING
        os.close(claim)
        status = exit_status(self.console)
        if status is None:
            return State.STOPPED if any(self.folder.glob("checkpoints/*")) else State.WAITING
        return unfinished(status)

    def claim(self) -> int | None:
        """Claim the folder for one process and those that inherit the claim from it.

        The system gives it up when the last of them has ended, however that came. A run that was
        started by hand is respected as well, by the lock that it keeps in its folder.

        Returns:
            An open file, to be closed by ``os.close``; None while others are at work here.
        """
        claim = os.open(self.folder / ".claim", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (self.folder / ".lock").exists():
                with (self.folder / ".lock").open("a") as lock:
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(claim)
            return None
        except OSError:
            pass  # a file system without locks
        return claim

    def progress(self) -> tuple[int, float | None]:
        """The last step that the run has told of, and its steps a second."""
        found = _PROGRESS.findall(_tail(self.folder / "train.log"))
        return (int(found[-1][0]), float(found[-1][1])) if found else (0, None)

    def reason(self) -> str:
        """Why the run has failed: the last line that it printed."""
        lines = [line for line in _tail(self.console).splitlines() if line.strip()]
        told = [line for line in lines if not line.startswith(_EXIT)]
        return told[-1].strip() if told else "it printed nothing"


def check_budget(job: Job) -> None:
    """See that the folder holds no run of another budget, whose schedule would be another.

    Raises:
        UserError: it does.
    """
    path = job.folder / "config.yaml"
    if not path.exists():
        return
    earlier = (yaml.safe_load(path.read_text()) or {}).get("trainer", {}).get("max_steps")
    if earlier != job.steps:
        raise UserError(
            f"{job.folder} holds a run of {earlier} steps, not {job.steps}: "
            "choose another --runs, or delete it"
        )


def write_exit(job: Job, status: int) -> None:
    """Note at the end of the console's file how a run has ended."""
    with job.console.open("a") as file:
        file.write(f"{_EXIT}{status}\n")


def unfinished(status: int) -> State:
    """What has become of a run that ended with this status before its budget."""
    return State.STOPPED if status in _IN_GOOD_ORDER else State.FAILED


def exit_status(console: Path) -> int | None:
    """How the last run has ended; None if it was not seen to end."""
    lines = _tail(console).splitlines()
    if lines and lines[-1].startswith(_EXIT):
        return int(lines[-1].removeprefix(_EXIT))
    return None


def share(jobs: Sequence[Job], part: str | None) -> list[Job]:
    """The jobs of one machine out of several: ``1/4`` is the first of four.

    Raises:
        UserError: there is no such part.
    """
    if part is None:
        return list(jobs)
    matched = re.fullmatch(r"(\d+)/(\d+)", part)
    if not matched or not 1 <= int(matched[1]) <= int(matched[2]):
        raise UserError(f"--shard {part}: write I/N with I from 1 to N, as 1/4")
    return list(jobs[int(matched[1]) - 1 :: int(matched[2])])


def count_states(states: Mapping[str, State]) -> str:
    """Say how many jobs are in each state."""
    counts = {state: list(states.values()).count(state) for state in State}
    parts = [
        f"{counts[state]} {state}" for state in reversed(State) if counts[state] or state == "done"
    ]
    return ", ".join(parts)


def _tail(path: Path, size: int = 8192) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - size, 0))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
