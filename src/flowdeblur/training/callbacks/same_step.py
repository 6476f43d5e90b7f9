"""Check that all processes resume from the same step."""

from __future__ import annotations

import lightning as L

from flowdeblur.errors import RuntimeFailureError
from flowdeblur.training import processes


class CheckSameStep(L.Callback):
    """Compare the steps that the processes start from.

    A network file system may show different checkpoints on different nodes. The processes would
    then mix optimizer states of different steps unnoticed, or wait for each other forever.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        step = trainer.global_step
        last = processes.largest(step, pl_module.device)
        first = -processes.largest(-step, pl_module.device)
        if first != last:
            raise RuntimeFailureError(
                f"the processes found different newest checkpoints, of steps {first} and {last}: "
                "the nodes do not see the same run folder; run the same command again, "
                "or put hydra.run.dir on storage that they share"
            )
