"""Checkpoints of a run that is interrupted, moved, and gone on with elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint


class Checkpoints(ModelCheckpoint):
    """Lightning's ModelCheckpoint, for a folder that is the run's own.

    Lightning forgets its scores where the folder has another name, so that the first score after a
    move would be the best; and it keeps the file that a run went on from for ever.
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


class CountedAnew(L.Callback):
    """Let a run go on with another number of batches a step.

    Lightning counts batches. More devices or more memory make a step of fewer of them, and the
    count of a checkpoint would be beyond the place where the stream of batches goes on.
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
