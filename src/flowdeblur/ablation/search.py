"""Bayesian search without a server: Optuna proposes, from what the finished runs have scored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowdeblur.ablation.jobs import Job
from flowdeblur.ablation.parameters import Choices, Parameter, Range, Value
from flowdeblur.ablation.sweep import Point, Sweep
from flowdeblur.errors import UserError
from flowdeblur.files import write_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_FILE = "search.json"


class Search:
    """The runs of a Bayesian search, proposed a few at a time.

    What was proposed stands in ``search.json`` beside the runs, what it scored in the runs
    themselves. So a search that was cut short goes on, and its runs with it: a proposal is a
    function of the ones before and their scores.

    Args:
        sweep: of method ``bayes``.
        folder: of the runs.

    Raises:
        UserError: Optuna is missing, or the folder's search is about other parameters.
    """

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        try:
            import optuna
        except ImportError:
            raise UserError("method bayes needs Optuna: pip install 'flowdeblur[bayes]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._sweep, self._folder = sweep, folder
        self._points = recorded(sweep, folder)
        self._closed: set[str] = set()
        sweep.cap()

    def propose(self, count: int) -> list[Point]:
        """Up to ``count`` runs to do next: first those that were begun; none when all are done."""
        scores = self._scores()
        begun = [
            point
            for point in self._points
            if point.name not in scores and point.name not in self._closed
        ]
        missing = min(count - len(begun), self._sweep.cap() - len(self._points))
        return [*begun[:count], *(self._ask(missing, scores) if missing > 0 else [])]

    def close(self, points: Iterable[Point]) -> None:
        """Leave runs alone from now on, whether they have scored or failed."""
        self._closed |= {point.name for point in points}

    def best(self) -> tuple[Point, float] | None:
        """The best run and its score."""
        scores = self._scores()
        done = [(point, scores[point.name]) for point in self._points if point.name in scores]
        sign = 1 if self._sweep.maximize else -1
        return max(done, key=lambda each: sign * each[1], default=None)

    def _ask(self, count: int, scores: dict[str, float]) -> list[Point]:
        from optuna import create_study
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState, create_trial

        space = {key: _distribution(each) for key, each in self._sweep.parameters.items()}
        study = create_study(
            # Another seed for every proposal, because the sampler does not see what it has drawn.
            sampler=TPESampler(seed=len(self._points), constant_liar=True),
            direction="maximize" if self._sweep.maximize else "minimize",
        )
        for point in self._points:
            score = scores.get(point.name)
            study.add_trial(
                create_trial(
                    state=TrialState.FAIL if score is None else TrialState.COMPLETE,
                    value=score,
                    params=dict(point.parameters),
                    distributions=space,
                )
            )
        points = []
        for _ in range(count):
            drawn = study.ask(space).params
            values = {key: _short(drawn[key], each) for key, each in self._sweep.parameters.items()}
            points.append(self._sweep.point(values, len(self._points)))
            self._points.append(points[-1])
        self._folder.mkdir(parents=True, exist_ok=True)
        content = [dict(point.parameters) for point in self._points]
        write_text(self._folder / _FILE, json.dumps(content, indent=1) + "\n")
        return points

    def _scores(self) -> dict[str, float]:
        scores = {}
        for point in self._points:
            metrics: Any = Job(point, self._folder / point.name).metrics()
            if metrics is None:
                continue
            try:
                for part in self._sweep.metric.split("/"):
                    metrics = metrics[part]
                scores[point.name] = float(metrics)
            except (KeyError, TypeError, ValueError):
                raise UserError(
                    f"{self._sweep.path}: metric.name is {self._sweep.metric}, which is not in "
                    f"{self._folder / point.name / 'metrics.json'}"
                ) from None
        return scores


def recorded(sweep: Sweep, folder: Path) -> list[Point]:
    """The runs that a search in ``folder`` has proposed so far.

    Raises:
        UserError: that search was about other parameters.
    """
    path = folder / _FILE
    if not path.exists():
        return []
    proposals: Sequence[dict[str, Value]] = json.loads(path.read_text())
    for values in proposals:
        if values.keys() != sweep.parameters.keys():
            raise UserError(
                f"{path}: a search over {', '.join(values)}, not {', '.join(sweep.parameters)}; "
                "choose another --runs"
            )
    return [sweep.point(values, number) for number, values in enumerate(proposals)]


def _distribution(parameter: Parameter) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(parameter, Choices):
        return CategoricalDistribution(parameter.values)  # type: ignore[arg-type]
    if parameter.integer:
        return IntDistribution(int(parameter.low), int(parameter.high))
    step = None if parameter.log else parameter.step
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=step)


def _short(value: Value, parameter: Parameter) -> Value:
    """Six digits, because a value is a part of names and command lines."""
    if isinstance(value, float) and isinstance(parameter, Range):
        return min(max(float(f"{value:.6g}"), parameter.low), parameter.high)
    return value
