"""Bayesian search without a server: Optuna proposes runs from the scores of the finished ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowdeblur.ablation.jobs import SweepJob
from flowdeblur.ablation.parameters import Choices, Parameter, Range, Value
from flowdeblur.ablation.sweep import Point, Sweep
from flowdeblur.errors import UserError
from flowdeblur.extras import import_extra

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_FILE = "search.journal"


class Search:
    """The runs of a Bayesian search, proposed a few at a time.

    Optuna keeps the proposals in its journal beside the runs; the scores are read from the runs. A
    search that was interrupted therefore continues as the same search: a proposal is a function of
    the earlier ones and their scores.

    Args:
        sweep: a sweep of method ``bayes``.
        folder: folder of the run folders.

    Raises:
        UserError: Optuna is not installed, or the folder has a search over other parameters.
    """

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        self._sweep, self._folder = sweep, folder
        self._cap = sweep.cap()
        folder.mkdir(parents=True, exist_ok=True)
        self._study = _open(sweep, folder)
        self._points = _points(sweep, self._study, folder)
        self._closed: set[str] = set()

    def propose(self, count: int) -> list[Point]:
        """Propose up to ``count`` runs: first those that were begun; none when all are done."""
        scores = self._scores()
        begun = [
            point
            for point in self._points
            if point.name not in scores and point.name not in self._closed
        ]
        missing = min(count - len(begun), self._cap - len(self._points))
        return [*begun[:count], *(self._ask(missing, scores) if missing > 0 else [])]

    def close(self, points: Iterable[Point]) -> None:
        """Do not propose these runs again, whether they have scored or failed."""
        self._closed |= {point.name for point in points}

    def best(self) -> tuple[Point, float] | None:
        """The best run and its score."""
        scores = self._scores()
        done = [(point, scores[point.name]) for point in self._points if point.name in scores]
        sign = 1 if self._sweep.maximize else -1
        return max(done, key=lambda each: sign * each[1], default=None)

    def _ask(self, count: int, scores: dict[str, float]) -> list[Point]:
        from optuna.samplers import TPESampler

        trials = self._study.get_trials(deepcopy=False)
        for trial, point in zip(trials, self._points, strict=True):
            if not trial.state.is_finished() and point.name in scores:
                self._study.tell(trial.number, scores[point.name])
        # Another seed for every proposal, because a new sampler does not know its earlier draws.
        self._study.sampler = TPESampler(seed=len(trials), constant_liar=True)
        space = {key: _distribution(each) for key, each in self._sweep.parameters.items()}
        new = [self._study.ask(space) for _ in range(count)]
        points = [_point(self._sweep, trial.number, trial.params) for trial in new]
        self._points += points
        return points

    def _scores(self) -> dict[str, float]:
        scores = {}
        for point in self._points:
            metrics: Any = SweepJob(point, self._folder / point.name).metrics()
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
    """List the runs that a search in ``folder`` has proposed so far.

    Raises:
        UserError: Optuna is not installed, or that search was over other parameters.
    """
    if not (folder / _FILE).exists():
        return []
    return _points(sweep, _open(sweep, folder), folder)


def _open(sweep: Sweep, folder: Path) -> Study:
    optuna = import_extra("optuna", "bayes")
    journal = import_extra("optuna.storages.journal", "bayes")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        backend = journal.JournalFileBackend(str(folder / _FILE))
        study: Study = optuna.create_study(
            study_name="search",
            storage=optuna.storages.JournalStorage(backend),
            direction="maximize" if sweep.maximize else "minimize",
            load_if_exists=True,
        )
    return study


def _points(sweep: Sweep, study: Study, folder: Path) -> list[Point]:
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.params.keys() != sweep.parameters.keys():
            raise UserError(
                f"{folder / _FILE}: a search over {', '.join(trial.params)}, not "
                f"{', '.join(sweep.parameters)}; choose another --runs"
            )
    return [_point(sweep, trial.number, trial.params) for trial in trials]


def _point(sweep: Sweep, number: int, drawn: dict[str, Any]) -> Point:
    values = {key: _rounded(drawn[key], each) for key, each in sweep.parameters.items()}
    return sweep.point(values, number)


def _distribution(parameter: Parameter) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Choices):
        return CategoricalDistribution(parameter.values)  # type: ignore[arg-type]
    if parameter.integer:
        return IntDistribution(int(parameter.low), int(parameter.high))
    step = None if parameter.log else parameter.step
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=step)


def _rounded(value: Value, parameter: Parameter) -> Value:
    """Round to six digits, because a value is a part of names and command lines."""
    if isinstance(value, float) and isinstance(parameter, Range):
        return min(max(float(f"{value:.6g}"), parameter.low), parameter.high)
    return value
