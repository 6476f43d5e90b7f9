"""Compile the network."""

from __future__ import annotations

from typing import Any

import lightning as L


class Compile(L.Callback):
    """Compile the network in place by ``torch.compile``; names of parameters stay.

    Args:
        **options: those of ``torch.compile``, such as ``dynamic=True`` or ``mode="max-autotune"``.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Lightning's hook; the stages of a run share the compiled network."""
        if stage == "fit":
            pl_module.network.compile(**self._options)  # type: ignore[union-attr]
