"""Checkpoints that can be resumed after an interruption or a move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint


class Checkpoints(ModelCheckpoint):
    """Lightning's ModelCheckpoint for a run folder that may move.

    Lightning discards its scores when the folder's name has changed, so that the first score after
    a move would be the best, and never deletes the checkpoint that a run was resumed from.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning's hook."""
        assert self.dirpath is not None
        folder = Path(self.dirpath)

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else path

        moved = {name: here(path) for name, path in state_dict.items() if name.endswith("_path")}
        models = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(
            {**state_dict, **moved, "best_k_models": models, "dirpath": self.dirpath}
        )

    def _should_remove_checkpoint(self, trainer: L.Trainer, previous: str, current: str) -> bool:
        return previous != current


class ResumeBatchCounter(L.Callback):
    """Let a run resume with a different number of batches per step.

    Lightning counts batches. With more devices or memory a step has fewer of them, and the
    checkpoint's count would be beyond the position where the stream of batches resumes.
    """

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Lightning's hook, before the loops are restored."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        batches = checkpoint["global_step"] * trainer.accumulate_grad_batches
        missing = batches - progress["current"]["ready"]
        for count in (progress["total"], progress["current"]):
            count.update({name: number + missing for name, number in count.items()})
