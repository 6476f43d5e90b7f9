"""One log line per validation."""

from __future__ import annotations

import logging
import time

import lightning as L

log = logging.getLogger(__name__)


class Messages(L.Callback):
    """Log step, loss, scores and speed at every validation."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._start, self._first_step = time.perf_counter(), trainer.global_step

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        if trainer.state.fn != "fit":
            return
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        parts = [f"step {trainer.global_step}/{trainer.max_steps}"]
        if "train/loss" in metrics:
            parts.append(f"loss {metrics['train/loss']:.3g}")
        if "val/psnr" in metrics:
            gain = metrics["val/psnr"] - metrics["val/psnr_blurry"]
            parts.append(f"val PSNR {metrics['val/psnr']:.2f} dB ({gain:+.2f} to blurry)")
        if "val/epe" in metrics:
            parts.append(f"end-point error {metrics['val/epe']:.2f} px")
        speed = (trainer.global_step - self._first_step) / (time.perf_counter() - self._start)
        parts.append(f"{speed:.2f} steps/s")
        log.info("  ".join(parts))
