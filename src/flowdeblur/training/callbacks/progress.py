"""Progress bar of a whole run."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm


class ProgressBar(TQDMProgressBar):
    """Progress bar over the batches of the whole run, with time left and loss.

    Validation and test show no bar.
    """

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Lightning's hook: the only epoch is the whole run, which may be resumed anywhere."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.initial = trainer.global_step * trainer.accumulate_grad_batches
        self.train_progress_bar.set_description("training")

    def init_validation_tqdm(self) -> Tqdm:
        """Lightning's hook."""
        return Tqdm(disable=True)

    def init_test_tqdm(self) -> Tqdm:
        """Lightning's hook."""
        return Tqdm(disable=True)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Lightning's hook."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics
