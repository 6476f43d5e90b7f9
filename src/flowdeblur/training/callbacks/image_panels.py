"""Panels of the same validation frames at every validation."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from flowdeblur.evaluation.metrics import psnr
from flowdeblur.training.task import Task
from flowdeblur.types import Batch, Restoration
from flowdeblur.video.images import write_image
from flowdeblur.viz.panels import panel, restoration_columns, to_bytes


class ImagePanels(L.Callback):
    """Write blurry, restored and sharp frame, predicted and true flow of the first frames.

    Args:
        folder: folder of ``val_<step>.png`` and ``test.png``, and of each image of the test,
            ``test/<frame>_<what>.png``; frames are counted from 0.
        rows: number of frames, taken from the first batch.
    """

    def __init__(self, folder: str, rows: int = 4) -> None:
        self.folder, self.rows = Path(folder), rows

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Lightning's hook."""
        if batch_idx == 0 and trainer.state.fn == "fit":
            self._show(trainer, pl_module, outputs, batch, f"val_{trainer.global_step:06d}")

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Lightning's hook."""
        if batch_idx == 0:
            self._show(trainer, pl_module, outputs, batch, "test")
            if trainer.is_global_zero:
                self._write_each(pl_module, outputs, batch)

    def _write_each(self, task: L.LightningModule, outputs: object, batch: Batch) -> None:
        assert isinstance(task, Task)
        assert isinstance(outputs, Restoration)
        folder = self.folder / "test"
        folder.mkdir(exist_ok=True)
        columns = restoration_columns(batch, outputs, task.network.current_index)
        for name, images in columns.items():
            for frame, image in enumerate(to_bytes(images[: self.rows])):
                write_image(folder / f"{frame}_{name.replace(' ', '_')}.png", image)

    def _show(
        self, trainer: L.Trainer, task: L.LightningModule, outputs: object, batch: Batch, name: str
    ) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(task, Task)
        assert isinstance(outputs, Restoration)
        current = task.network.current_index
        before = psnr(batch["frames"][:, current], batch["sharp"])
        after = psnr(outputs.restored, batch["sharp"])
        notes = [
            f"{key}: {old:.2f} -> {new:.2f} dB"
            for key, old, new in zip(batch["key"], before.tolist(), after.tolist(), strict=True)
        ]
        image = panel(restoration_columns(batch, outputs, current), self.rows, notes)
        write_image(self.folder / f"{name}.png", image)
        for logger in trainer.loggers:
            log_image_panel(logger, name.partition("_")[0], image, trainer.global_step)


def log_image_panel(logger: Logger, name: str, image: np.ndarray, step: int) -> None:
    """Pass an image (H, W, 3) uint8 to a logger that accepts images."""
    if isinstance(logger, WandbLogger):
        logger.log_image(key=f"{name}/panel", images=[image], step=step)
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(f"{name}/panel", image, step, dataformats="HWC")
