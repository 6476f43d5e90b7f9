"""Channels-last memory format."""

from __future__ import annotations

import lightning as L
import torch


class ChannelsLast(L.Callback):
    """Train in the channels-last memory format, faster with ``trainer.precision=bf16-mixed``.

    Convolutions pass the format on from their weights to their outputs, so that the input need not
    have it. The order of summation differs from that with contiguous weights.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Lightning's hook, before the optimizer or DDP see the weights."""
        pl_module.to(memory_format=torch.channels_last)
