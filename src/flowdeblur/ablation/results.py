"""The rows of a table: runs that differ in their seed only, and what they have in common."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

from flowdeblur.ablation.jobs import State, SweepJob
from flowdeblur.ablation.parameters import tag
from flowdeblur.ablation.plain_yaml import load_yaml
from flowdeblur.ablation.run_result import RunResult, read_result
from flowdeblur.ablation.statistics import Array
from flowdeblur.errors import UserError


@dataclass(frozen=True)
class AblationRow:
    """A row of a table.

    Attributes:
        name: name of the row in the sweep.
        label: name in the table.
        paper: published numbers: ``psnr``, ``ssim``, ``parameters``; may be empty.
        results: finished runs.
        states: number of runs in each state; empty for a row that is only published.
        damage: what is wrong with damaged runs.
    """

    name: str
    label: str
    paper: Mapping[str, float]
    results: Sequence[RunResult] = ()
    states: Mapping[State, int] = field(default_factory=dict)
    damage: Sequence[str] = ()

    def scores(self, name: str) -> list[float]:
        """A test score of each finished run that has it."""
        return [each.test[name] for each in self.results if name in each.test]

    def mean(self, name: str) -> float | None:
        """Mean of a test score over seeds."""
        return _mean(self.scores(name))

    def deviation(self, name: str) -> float | None:
        """Standard deviation of a test score over seeds; None for a single seed."""
        scores = self.scores(name)
        return statistics.stdev(scores) if len(scores) > 1 else None

    def fact(self, name: str) -> float | None:
        """Mean over seeds of another number of a run (see ``RunResult.facts``), or ``paper_*``."""
        if name.startswith("paper_"):
            return self.paper.get(name.removeprefix("paper_"))
        return _mean([each.facts[name] for each in self.results if name in each.facts])

    @cached_property
    def keys(self) -> list[str]:
        """Test frames that all runs of the row have scored."""
        if not self.results:
            return []
        others = [each.frames.keys() for each in self.results[1:]]
        return [key for key in self.results[0].frames if all(key in each for each in others)]

    def per_frame(self, name: str, keys: Sequence[str]) -> Array | None:
        """A score of each frame, mean over seeds, (len(keys),); None where it is unknown."""
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
        """Why a row of a sweep has no scores; None where it has some or is only published."""
        if self.results or not self.states:
            return None
        for state in (State.DAMAGED, State.FAILED, State.RUNNING, State.STOPPED):
            if self.states.get(state):
                return f"missing ({state})"
        return "missing"


def collect(jobs: Sequence[SweepJob], ablation: Path) -> list[AblationRow]:
    """Read the runs of a sweep.

    Args:
        jobs: all runs, in the order of the rows.
        ablation: folder with the declarations of rows: labels and published numbers.

    Raises:
        UserError: runs of two rows have the same configuration.
    """
    rows: dict[str, list[SweepJob]] = {}
    for job in jobs:
        rows.setdefault(job.point.row, []).append(job)
    collected = [_row(name, members, ablation) for name, members in rows.items()]
    _check_distinct(collected)
    return collected


def add_published(rows: Sequence[AblationRow], path: Path) -> list[AblationRow]:
    """Give rows the labels and numbers of a file, and add the rows that are only published.

    Args:
        rows: rows of the sweep.
        path: YAML file: name of a row, then ``label`` and published numbers; it sets the order.

    Raises:
        UserError: the file cannot be read or is not such a file.
    """
    measured, result = {row.name: row for row in rows}, []
    try:
        for name, entry in load_yaml(path).items():
            row = measured.pop(str(name), AblationRow(str(name), str(name), {}))
            paper = {key: float(value) for key, value in entry.items() if key != "label"}
            if not paper and not row.states:
                continue  # neither published nor in the sweep
            label = str(entry.get("label", row.label))
            result.append(AblationRow(row.name, label, paper, row.results, row.states, row.damage))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"--published {path}: {error}; write ROW: {{label: TEXT, psnr: N}}"
        ) from None
    return [*result, *measured.values()]


def _row(name: str, jobs: Sequence[SweepJob], ablation: Path) -> AblationRow:
    states = {job.name: job.state() for job in jobs}
    results, damage = [], []
    for job in jobs:
        try:
            if states[job.name] in (State.DONE, State.DAMAGED):
                results.append(read_result(job.folder, job.metrics() or {}))
        except UserError as error:
            states[job.name] = State.DAMAGED
            damage.append(str(error))
    parameters = jobs[0].point.parameters
    about = _about(results, ablation / f"{parameters.get('ablation')}.yaml")
    label = about.get("label")
    if label is not None:  # a sweep over rows may also vary something else
        others = [tag(k, v) for k, v in parameters.items() if k not in ("ablation", "seed")]
        label = " ".join([label, *others])
    counts = Counter(states.values())
    return AblationRow(name, label or name, about.get("paper") or {}, results, counts, damage)


def _about(results: Sequence[RunResult], declaration: Path) -> Mapping[str, Any]:
    """Label and published numbers: the run's own, or the declared ones where none is done."""
    if results:
        return results[0].about
    if not declaration.exists():
        return {}
    try:
        return load_yaml(declaration).get("row") or {}
    except ValueError as error:
        raise UserError(f"{declaration}: {error}") from None


def _check_distinct(rows: Sequence[AblationRow]) -> None:
    for first, second in combinations(rows, 2):
        for one, other in product(first.results, second.results):
            if one.settings and one.settings == other.settings:
                raise UserError(
                    f"{one.folder} and {other.folder} are runs of the same configuration; "
                    "a table compares different ones: delete the wrong one, or leave out its row"
                )


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
