"""What the runs of a sweep have left in their folders, row by row."""

from __future__ import annotations

import csv
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from flowdeblur.ablation.jobs import Job, State
from flowdeblur.ablation.parameters import tag
from flowdeblur.ablation.statistics import Array
from flowdeblur.errors import UserError
from flowdeblur.runs import SAME_RUN


@dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
        folder: of the run.
        metrics: of its ``metrics.json``.
        config: of its ``config.yaml``.
        frames: scores of every test frame by key, of its ``frames.csv``.
    """

    folder: Path
    metrics: Mapping[str, Any]
    config: Mapping[str, Any]
    frames: Mapping[str, Mapping[str, float]]

    def picture(self, frame: int, what: str) -> Path | None:
        """A picture of a test frame, by its place and what it shows, if there is one."""
        path = self.folder / "images" / "test" / f"{frame}_{what}.png"
        return path if path.exists() else None


@dataclass(frozen=True)
class Row:
    """What is compared: the runs that differ in their seed alone.

    Attributes:
        name: of the row, as in the sweep.
        label: for people.
        paper: the paper's ``psnr`` and ``ssim``; empty where it has none.
        results: of the runs that are done.
        states: how many runs are in which state.
    """

    name: str
    label: str
    paper: Mapping[str, float]
    results: Sequence[Result]
    states: Mapping[State, int]

    def scores(self, name: str) -> list[float]:
        """A test score of each finished run, as far as it has it."""
        return [each.metrics["test"][name] for each in self.results if name in each.metrics["test"]]

    def mean(self, name: str) -> float | None:
        """The mean of a test score over seeds."""
        scores = self.scores(name)
        return statistics.fmean(scores) if scores else None

    def deviation(self, name: str) -> float | None:
        """The standard deviation of a test score over seeds; None for a single one."""
        scores = self.scores(name)
        return statistics.stdev(scores) if len(scores) > 1 else None

    def average(self, *path: str) -> float | None:
        """The mean of another number in ``metrics.json`` over seeds."""
        values = []
        for each in self.results:
            value: Any = each.metrics
            for key in path:
                value = value.get(key) if isinstance(value, Mapping) else None
            if isinstance(value, int | float):
                values.append(value)
        return statistics.fmean(values) if values else None

    @cached_property
    def keys(self) -> list[str]:
        """The test frames that all runs of the row have scored."""
        if not self.results:
            return []
        others = [each.frames.keys() for each in self.results[1:]]
        return [key for key in self.results[0].frames if all(key in each for each in others)]

    def per_frame(self, name: str, keys: Sequence[str]) -> Array | None:
        """A score of each frame, the mean over seeds: (len(keys),); None where it is unknown."""
        if not keys or not set(keys) <= set(self.keys):
            return None
        try:
            values = [[each.frames[key][name] for key in keys] for each in self.results]
        except KeyError:
            return None
        mean: Array = np.mean(values, axis=0)
        return mean

    @property
    def missing(self) -> str | None:
        """Why there is no number at all; None where there is one."""
        if self.results:
            return None
        for state in (State.FAILED, State.RUNNING, State.STOPPED):
            if self.states.get(state):
                return f"missing ({state})"
        return "missing"


def collect(jobs: Sequence[Job], ablation: Path) -> list[Row]:
    """Read the runs of a sweep.

    Args:
        jobs: all runs, in the order of the rows.
        ablation: folder of the rows' files, which hold labels and the paper's numbers.

    Raises:
        UserError: a file of a finished run is damaged, or runs of two rows have the same
            configuration.
    """
    rows: dict[str, list[Job]] = {}
    for job in jobs:
        rows.setdefault(job.point.row, []).append(job)
    collected = [_row(name, members, ablation) for name, members in rows.items()]
    _check_distinct(collected)
    return collected


def _row(name: str, jobs: Sequence[Job], ablation: Path) -> Row:
    states = {job.name: job.state() for job in jobs}
    results = [_result(job) for job in jobs if states[job.name] == State.DONE]
    parameters = jobs[0].point.parameters
    about = _about(results, ablation / f"{parameters.get('ablation')}.yaml")
    label = about.get("label")
    if label is not None:  # a sweep over rows may also vary something else
        others = [tag(k, v) for k, v in parameters.items() if k not in ("ablation", "seed")]
        label = " ".join([label, *others])
    return Row(name, label or name, about.get("paper") or {}, results, Counter(states.values()))


def _about(results: Sequence[Result], declaration: Path) -> Mapping[str, Any]:
    """Label and published numbers: those of the run itself, or the file's where none is done."""
    for result in results:
        if result.config.get("row"):
            about: Mapping[str, Any] = result.config["row"]
            return about
    if results or not declaration.exists():
        return {}
    return yaml.safe_load(declaration.read_text()).get("row") or {}


def _check_distinct(rows: Sequence[Row]) -> None:
    sections = (*SAME_RUN, "trainer")
    for first, second in combinations(rows, 2):
        for one, other in product(first.results, second.results):
            if all(one.config.get(key) == other.config.get(key) for key in sections):
                raise UserError(
                    f"{one.folder} and {other.folder} are runs of the same configuration; "
                    "a table compares different ones: delete the wrong one, or leave out its row"
                )


def _result(job: Job) -> Result:
    try:
        config = yaml.safe_load((job.folder / "config.yaml").read_text())
        with (job.folder / "frames.csv").open(newline="") as file:
            frames = {
                line.pop("key"): {name: float(value) for name, value in line.items()}
                for line in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(
            f"{job.folder}: its config.yaml or frames.csv cannot be read ({error}); "
            "delete its metrics.json and run it again"
        ) from None
    return Result(job.folder, job.metrics() or {}, config, frames)
