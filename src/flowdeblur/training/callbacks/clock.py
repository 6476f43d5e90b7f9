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
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        self.max_minutes = max_minutes
        self._before, self._start, self._step = 0.0, 0.0, 0

    @property
    def seconds(self) -> float:
        """Training time up to now, or to the end of training."""
        return self._before + (time.perf_counter() - self._start if self._start else 0.0)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._start, self._step = time.perf_counter(), trainer.global_step

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Lightning's hook: stopping makes Lightning validate, which writes a checkpoint."""
        if self.max_minutes is None or trainer.global_step == self._step:
            return  # in the second case gradients are still accumulating
        self._step = trainer.global_step
        over = time.perf_counter() - self._start > 60 * self.max_minutes
        if trainer.strategy.reduce_boolean_decision(over, all=False):  # clocks differ
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
