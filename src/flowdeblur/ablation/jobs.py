"""A run of a sweep as a job: its folder, its command line, and its state."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from flowdeblur.ablation.plain_yaml import load_yaml
from flowdeblur.ablation.run_result import whole
from flowdeblur.ablation.sweep import Point
from flowdeblur.errors import UserError
from flowdeblur.runs import Progress, read_progress

_EXIT = "exit status "
_STOP_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
# The status of a process that a signal ended, as the process, a shell or a launcher reports it.
_STOPPED = {0, *(-number for number in _STOP_SIGNALS), *(128 + n for n in _STOP_SIGNALS)}


class State(StrEnum):
    """State of a job, as any process can see it in the job's folder."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPED = "stopped"  # by max_minutes or a signal: the same command resumes it
    FAILED = "failed"
    DAMAGED = "damaged"  # its results cannot be read
    DONE = "done"


@dataclass(frozen=True)
class SweepJob:
    """A run of a sweep and its folder.

    Attributes:
        point: the run.
        folder: its folder.
        steps: budget in optimizer steps; None where it is not known.
        minutes: budget in minutes of training; None where steps are the budget.
        devices: number of devices that the run uses.
        options: options of ``train.py`` before the overrides.
    """

    point: Point
    folder: Path
    steps: int | None = None
    minutes: float | None = None
    devices: int = 1
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.point.name

    @property
    def console(self) -> Path:
        """File of the run's output."""
        return self.folder / "console.log"

    def command(self) -> list[str]:
        """Command line of the run, which is a process of its own."""
        path = str(self.folder)
        if not re.fullmatch(r"[\w./+-]+", path):  # Hydra's grammar requires quotes
            path = "'" + path.replace("'", "\\'") + "'"
        module = [sys.executable, "-m", "flowdeblur.cli.train", *self.options]
        return [*module, *self.point.overrides, f"hydra.run.dir={path}"]

    def metrics(self) -> dict[str, Any] | None:
        """Content of the run's ``metrics.json``, which is written last; None before.

        Raises:
            UserError: the file is damaged.
        """
        try:
            content = json.loads((self.folder / "metrics.json").read_text())
            whole(content["steps"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{self.folder / 'metrics.json'}: damaged ({str(error) or type(error).__name__}); "
                "delete it to run again"
            ) from None
        metrics: dict[str, Any] = content
        return metrics

    def done(self) -> bool:
        """Whether the run has reached its budget and has scores.

        Raises:
            UserError: its metrics are damaged.
        """
        metrics = self.metrics()
        if metrics is None:
            return False
        return self.minutes is not None or self.steps is None or metrics["steps"] >= self.steps

    def state(self) -> State:
        """Read the job's state from its folder."""
        try:
            if self.done():
                return State.DONE
        except UserError:
            return State.DAMAGED
        if not self.folder.exists():
            return State.WAITING
        claim = self.claim()
        if claim is None:
            return State.RUNNING
        os.close(claim)
        status = exit_status(self.console)
        if status is None:
            return State.STOPPED if any(self.folder.glob("checkpoints/*")) else State.WAITING
        return state_after(status)

    def claim(self) -> int | None:
        """Claim the folder for this process and the processes that inherit the claim.

        The system releases it when the last of them ends, for whatever reason. The lock of a run
        that was started by hand counts as well.

        Returns:
            An open file, to be closed by ``os.close``; None while others work in the folder.
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

    def progress(self) -> Progress | None:
        """Progress that the run has last reported."""
        return read_progress(self.folder)

    def reason(self) -> str:
        """Why the run failed: the last line of its output."""
        lines = [line for line in _tail(self.console).splitlines() if line.strip()]
        printed = [line for line in lines if not line.startswith(_EXIT)]
        return printed[-1].strip() if printed else "it printed nothing"


def check_budget(job: SweepJob) -> None:
    """Check that the folder has no run of another budget, whose schedule would differ.

    Raises:
        UserError: it has one.
    """
    path = job.folder / "config.yaml"
    try:
        config = load_yaml(path)
        earlier = config["trainer"].get("max_steps"), config.get("budget_minutes")
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error}); delete the folder to run again") from None
    for old, new, unit in zip(earlier, (job.steps, job.minutes), ("steps", "minutes"), strict=True):
        if old != new:
            raise UserError(
                f"{job.folder} contains a run of {old} {unit}, not {new}: "
                "choose another --runs, or delete it"
            )


def write_exit(job: SweepJob, status: int) -> None:
    """Record the exit status of a run at the end of its output."""
    with job.console.open("a") as file:
        file.write(f"{_EXIT}{status}\n")


def state_after(status: int) -> State:
    """State of a run that ended with this status before its budget."""
    return State.STOPPED if status in _STOPPED else State.FAILED


def exit_status(console: Path) -> int | None:
    """Read the exit status of the last run; None if none was recorded."""
    lines = _tail(console).splitlines()
    found = re.fullmatch(rf"{_EXIT}(-?\d{{1,9}})", lines[-1]) if lines else None
    return int(found[1]) if found else None


def shard(part: str | None) -> slice:
    """The jobs of one of several machines: ``1/4`` is the first of four, None all of them.

    Raises:
        UserError: there is no such part.
    """
    if part is None:
        return slice(None)
    matched = re.fullmatch(r"(\d{1,6})/(\d{1,6})", part)
    if not matched or not 1 <= int(matched[1]) <= int(matched[2]):
        raise UserError(f"--shard {part}: write I/N with I from 1 to N, such as 1/4")
    return slice(int(matched[1]) - 1, None, int(matched[2]))


def count_states(states: Mapping[str, State]) -> str:
    """Write how many jobs are in each state."""
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
