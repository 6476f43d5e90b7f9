"""The run folder: the identity of a run and its files.

A run folder contains

    config.yaml          the resolved configuration
    train.log            messages
    progress.json        step, speed and time left, while it runs
    checkpoints/         step_<n>.ckpt, to resume from; best.ckpt, of the best validation score
    metrics.json         scores, history and costs; written last
    frames.csv           scores of every test frame
    images/              panels of held-out frames
    weights.safetensors  the trained network, for others
    best.safetensors     the network of the best validation score, for others
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from flowdeblur.errors import UserError
from flowdeblur.files import write_text
from flowdeblur.legacy import modern

log = logging.getLogger(__name__)

SAME_RUN = (
    *("seed", "model", "init", "task", "data"),
    *("objective", "optimizer", "scheduler", "parameter_groups"),
)
"""Sections that identify a run.

Budget, devices, loggers, metrics and callbacks may change when it resumes, and so may the keys of
``MAY_MOVE``.
"""

PLACES = {"root", "cache", "photographs"}
"""Keys of folders of data, at any depth of a section."""

_PROGRESS = "progress.json"

_OWN_FILES = {
    *("checkpoints", "images", "pictures", "train.log", "console.log", "metrics.json", _PROGRESS),
    *("frames.csv", "weights.safetensors", "best.safetensors", ".lock", ".claim", ".hydra"),
    *("csv", "tensorboard", "wandb", "profile"),
}
"""What a run folder may contain before its ``config.yaml`` is written."""

MAY_MOVE = PLACES | {"workers", "device_batch_size", "eval_batch_size"}
"""Those, and keys of how data are loaded."""


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        step: optimizer steps done.
        max_steps: budget in steps; -1 where there is none.
        steps_per_second: speed since the last start.
        seconds_left: estimated training time left; None where it is unknown.
    """

    step: int
    max_steps: int
    steps_per_second: float
    seconds_left: float | None


def read_progress(folder: Path) -> Progress | None:
    """Read the progress that a run has last reported; None if there is no valid report."""
    try:
        progress = Progress(**json.loads((folder / _PROGRESS).read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    numbers = (progress.step, progress.max_steps, progress.steps_per_second)
    valid = all(isinstance(each, int | float) for each in (*numbers, progress.seconds_left or 0))
    return progress if valid else None


class RunFolder:
    """One run's folder.

    Args:
        path: the folder; created if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.images = path / "images"
        self.metrics = path / "metrics.json"
        self.frames = path / "frames.csv"
        self.config = path / "config.yaml"
        self.weights = path / "weights.safetensors"
        self.best = path / "best.safetensors"
        self.console = path / "console.log"
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.images.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{path}: cannot make the run folder ({error.strerror}); set hydra.run.dir"
            ) from None

    @contextmanager
    def exclusive(self, patience_s: float = 120.0) -> Iterator[None]:
        """Keep other processes from training in this folder.

        The system releases the lock when its holder ends for any reason. On a network file system
        this may take a minute after a node has failed. A file system without locks locks nothing.

        Args:
            patience_s: how long to wait for the lock, in seconds.

        Raises:
            UserError: another process keeps the lock.
        """
        with (self.path / ".lock").open("a+") as file:
            deadline = time.monotonic() + patience_s
            while not _locked(file.fileno()):
                file.seek(0)
                holder = file.read().strip() or "another process"
                if time.monotonic() >= deadline:
                    raise UserError(
                        f"{self.path}: {holder} is training here; "
                        "wait until it has ended, or choose another hydra.run.dir"
                    )
                log.info("%s: waiting for %s to leave the run folder", self.path, holder)
                time.sleep(min(5.0, max(deadline - time.monotonic(), 0.0)))
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield

    def begin(self, config: Mapping[str, Any]) -> None:
        """Write ``config.yaml``, once :meth:`check` has passed.

        Raises:
            UserError: the folder belongs to a run with another model, data, ...
        """
        self.check(config)
        write_text(self.config, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))

    def check(self, config: Mapping[str, Any]) -> None:
        """Check that an earlier run in this folder, if there was one, is the same run.

        Raises:
            UserError: the folder belongs to a run with another model, data, ...
        """
        if self.config.exists():
            earlier = modern(yaml.safe_load(self.config.read_text()) or {})
            follow = _follow_budget(earlier, config)
            for key, old, new in _differences(_identity(earlier), _identity(config)):
                if key in follow:
                    continue
                raise UserError(
                    f"{self.path} holds a run with {key}={old}, not {new}: "
                    "choose another hydra.run.dir, or delete it"
                )

    def discard_if_unused(self) -> None:
        """Remove the folder of a run that failed before it began.

        A run has begun when its ``config.yaml`` is written.
        """
        used = self.config.exists() or any(self.checkpoints.iterdir()) or self.console.exists()
        if not used and not _other_files(self.path):
            shutil.rmtree(self.path, ignore_errors=True)

    def checkpoints_newest_first(self) -> list[Path]:
        """Complete checkpoints; their names carry the step."""
        return sorted(
            self.checkpoints.glob("step_*.ckpt"), key=lambda each: each.stem, reverse=True
        )

    def forget_interruptions(self, besides: Path | None) -> None:
        """Delete the checkpoints of interruptions, except for ``besides``, which the run resumes.

        ModelCheckpoint counts and deletes only those that it wrote itself.
        """
        for path in self.checkpoints.glob("step_*-interrupted.ckpt"):
            if path != besides:
                path.unlink(missing_ok=True)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``."""
        write_text(self.metrics, json.dumps(metrics, indent=1) + "\n")

    def write_progress(
        self, step: int, max_steps: int, steps_per_second: float, seconds_left: float | None
    ) -> None:
        """Write ``progress.json``."""
        progress = Progress(step, max_steps, steps_per_second, seconds_left)
        write_text(self.path / _PROGRESS, json.dumps(asdict(progress)) + "\n")

    def write_frames(self, scores: Sequence[Mapping[str, float | str | None]]) -> None:
        """Write ``frames.csv``: a line for each frame; scores that it does not have are empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(scores[0]) if scores else ["key"])
        writer.writeheader()
        writer.writerows(scores)
        write_text(self.frames, text.getvalue())


def refuse_other_folder(path: Path) -> None:
    """Check that a folder, if it exists, is that of a run or has no files of something else.

    Raises:
        UserError: names such a file.
    """
    if path.is_dir() and not (path / "config.yaml").exists() and (others := _other_files(path)):
        raise UserError(
            f"{path}: is no run folder and has other files, such as {others[0]}; "
            "choose another hydra.run.dir"
        )


def _other_files(path: Path) -> list[str]:
    return sorted({each.name for each in path.iterdir()} - _OWN_FILES)


def _locked(descriptor: int) -> bool:
    try:
        # POSIX locks, unlike flock's, belong to the process: workers that outlive it hold none.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        log.warning(
            "this file system knows no locks: see that no two processes train in one folder"
        )
    return True


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config.get(key) or None for key in SAME_RUN} | {"seed": config.get("seed")}


def _follow_budget(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Keys of the schedule that have changed with the budget, as they may."""
    schedules = [config.get("scheduler") or {} for config in (old, new)]
    budgets = tuple(config.get("trainer", {}).get("max_steps") for config in (old, new))
    return {
        f"scheduler.{key}"
        for key in schedules[0]
        if (schedules[0][key], schedules[1].get(key)) == budgets
    }


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*old, *new]):
        if key in MAY_MOVE:
            continue
        before, after = old.get(key), new.get(key)
        if key == "_target_":  # a class may move between packages
            before, after = (str(each).rpartition(".")[2] for each in (before, after))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key}", before, after
