"""Training speed and GPU memory."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch


class Performance(L.Callback):
    """Log samples per second and peak GPU memory.

    Samples of all processes count. Time is measured from the end of the first step of each start,
    without validation, and stored in the checkpoint, so that the mean is one over all restarts.

    Args:
        batch_size: samples per step, over all processes.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self._seconds, self._samples = 0.0, 0
        self._mark: float | None = None
        self._interval = (0.0, 0)

    @property
    def samples_per_second(self) -> float | None:
        """Mean over the whole run; None for a run of a single step."""
        return self._samples / self._seconds if self._samples else None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._mark, self._interval = None, (self._seconds, self._samples)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Lightning's hook."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        now = time.perf_counter()
        if self._mark is not None:
            self._seconds += now - self._mark
            self._samples += self.batch_size
        self._mark = now
        # The trainer's logger connector sets the attribute, which its class does not declare.
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        seconds, samples = self._interval
        if trainer.global_step % every == 0 and self._samples > samples:
            speed = (self._samples - samples) / (self._seconds - seconds)
            pl_module.log("train/samples_per_second", speed)
            self._interval = (self._seconds, self._samples)
            if pl_module.device.type == "cuda":
                memory = torch.cuda.max_memory_allocated(pl_module.device)
                pl_module.log("train/gpu_memory_gib", memory / 2**30)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        if self._mark is not None:
            self._mark += time.perf_counter() - self._paused

    def state_dict(self) -> dict[str, Any]:
        """Lightning's hook."""
        return {"seconds": self._seconds, "samples": self._samples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning's hook."""
        self._seconds, self._samples = state_dict["seconds"], state_dict["samples"]
