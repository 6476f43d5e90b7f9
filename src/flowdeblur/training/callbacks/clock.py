"""The time that a run has trained, over all its restarts, and an end to it."""

from __future__ import annotations

import time
from typing import Any

import lightning as L


class Clock(L.Callback):
    """Count the seconds of training; stop at a checkpoint when this start has had its time.

    The seconds travel in the checkpoint. Those between the last checkpoint and a kill are lost with
    their steps.

    Args:
        max_minutes: time that training may take from one start on; None sets no limit.
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        self.max_minutes = max_minutes
        self._before, self._start, self._step = 0.0, 0.0, 0

    @property
    def seconds(self) -> float:
        """Of training, up to now or to its end."""
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
        """Lightning's hook: stopping lets Lightning validate, which leaves a checkpoint."""
        if self.max_minutes is None or trainer.global_step == self._step:
            return  # in the second case gradients are still being accumulated
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
