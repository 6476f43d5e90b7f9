"""Training time of a run over all restarts, and its limit."""

from __future__ import annotations

import time
from typing import Any

import lightning as L


class Clock(L.Callback):
    """Measure training time; stop with a checkpoint when the limit of this start is reached.

    The time is stored in the checkpoint. Time between the last checkpoint and a kill is lost, as
    the steps are.

    Args:
        max_minutes: limit of training time, counted from each start; None sets no limit.
        budget_minutes: training time over all starts, after which the run is complete; None makes
            the steps its budget.
    """

    def __init__(
        self, max_minutes: float | None = None, budget_minutes: float | None = None
    ) -> None:
        self.max_minutes, self.budget_minutes = max_minutes, budget_minutes
        self.complete = False  # whether the budget is used up
        self.interrupted = False  # whether max_minutes stopped this start
        self._before, self._start, self._step = 0.0, 0.0, 0

    @property
    def seconds(self) -> float:
        """Training time up to now, or to the end of training."""
        return self._before + (time.perf_counter() - self._start if self._start else 0.0)

    @property
    def seconds_left(self) -> float | None:
        """Training time left of the budget; None where steps are the budget."""
        return None if self.budget_minutes is None else 60 * self.budget_minutes - self.seconds

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._start, self._step = time.perf_counter(), trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any, **__: Any) -> None:
        """Lightning's hook: stopping makes Lightning validate, which writes a checkpoint."""
        if trainer.global_step == self._step:
            return  # gradients are still accumulated
        self._step = trainer.global_step
        if self.seconds_left is not None:
            self.complete = _any_process(trainer, self.seconds_left < 0)
        over = self.max_minutes is not None and _any_process(
            trainer, time.perf_counter() - self._start > 60 * self.max_minutes
        )
        self.interrupted = over and not self.complete
        if self.complete or over:
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._before, self._start = self.seconds, 0.0

    def state_dict(self) -> dict[str, Any]:
        """Lightning's hook."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning's hook."""
        self._before = state_dict["seconds"]


def _any_process(trainer: L.Trainer, over: bool) -> bool:
    return trainer.strategy.reduce_boolean_decision(over, all=False)  # clocks differ
