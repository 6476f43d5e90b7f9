"""The layout in memory that convolutions of several libraries are fastest in."""

from __future__ import annotations

import lightning as L
import torch


class ChannelsLast(L.Callback):
    """Train with the channels of a pixel side by side; pays with ``trainer.precision=bf16-mixed``.

    Layers hand the layout on from their weights to their results, so that pictures need not have
    it. Sums are taken in another order than with contiguous weights.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Lightning's hook, before anything is made of the weights."""
        pl_module.to(memory_format=torch.channels_last)
