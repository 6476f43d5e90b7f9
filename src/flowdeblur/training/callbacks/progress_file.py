"""The progress of a run as a file, for those who watch the run folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning as L

from flowdeblur.training.callbacks.clock import Clock

_INTERVAL_S = 5.0


class ProgressFile(L.Callback):
    """Write ``progress.json`` every few seconds and after every validation.

    Args:
        write: writes the step, the budget in steps, the steps per second, and the estimated seconds
            left, which may be None.
        clock: measures the run's training time, and knows its limit.
    """

    def __init__(
        self, write: Callable[[int, int, float, float | None], None], clock: Clock
    ) -> None:
        self._write_file, self._clock = write, clock
        self._start, self._written, self._first_step = 0.0, 0.0, 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._start, self._first_step = time.perf_counter(), trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Lightning's hook."""
        if time.perf_counter() - self._written > _INTERVAL_S:
            self._write(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        if trainer.state.fn == "fit":
            self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        self._written = time.perf_counter()
        speed = (trainer.global_step - self._first_step) / (self._written - self._start)
        left = [] if self._clock.seconds_left is None else [self._clock.seconds_left]
        if speed > 0 and trainer.max_steps > 0:
            left.append((trainer.max_steps - trainer.global_step) / speed)
        self._write_file(trainer.global_step, trainer.max_steps, speed, min(left, default=None))
