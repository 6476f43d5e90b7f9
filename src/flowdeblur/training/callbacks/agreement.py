"""All processes of a run go on from the same step, or not at all."""

from __future__ import annotations

import lightning as L

from flowdeblur.errors import RuntimeFailureError
from flowdeblur.training import processes


class Agreement(L.Callback):
    """Compare where the processes begin.

    A network file system may show another newest checkpoint on another node. Optimisers of
    different steps would then train together unnoticed, or wait for each other forever.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        step = trainer.global_step
        last = processes.largest(step, pl_module.device)
        first = -processes.largest(-step, pl_module.device)
        if first != last:
            raise RuntimeFailureError(
                f"the processes found different newest checkpoints, of steps {first} and {last}: "
                "the nodes do not see the same run folder; give the same command again, "
                "or put hydra.run.dir on storage that they share"
            )
