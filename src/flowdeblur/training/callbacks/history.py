"""Validation scores of a run over all restarts."""

from __future__ import annotations

from typing import Any

import lightning as L


class History(L.Callback):
    """Collect the validation scores by step.

    They are stored in the checkpoint, so that a resumed run has all of them.
    """

    def __init__(self) -> None:
        self.scores: dict[int, dict[str, float]] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self.scores[trainer.global_step] = {
            name: value.item()
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }

    def as_list(self) -> list[dict[str, float]]:
        """Scores in the order of their steps."""
        return [{"step": step, **scores} for step, scores in sorted(self.scores.items())]

    def state_dict(self) -> dict[str, Any]:
        """Lightning's hook."""
        return {"scores": self.scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning's hook."""
        self.scores = state_dict["scores"]
