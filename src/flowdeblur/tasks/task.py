"""What both tasks share: the training step, its guard, and the optimiser."""

from __future__ import annotations

from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from flowdeblur.batch import Batch
from flowdeblur.errors import Failure
from flowdeblur.networks import FlowGuidedDeblurring, Restoration
from flowdeblur.objectives import Objective
from flowdeblur.optimization import Optimization


class Task(L.LightningModule):
    """Train ``network`` to minimise ``objective``.

    Args:
        network: the whole network.
        objective: what is minimised.
        optimization: optimiser and schedule.
    """

    score: ClassVar[str]
    """The validation metric that checkpoints and sweeps are judged by."""
    score_mode: ClassVar[str]
    """``max`` or ``min``."""

    def __init__(
        self, network: FlowGuidedDeblurring, objective: Objective, optimization: Optimization
    ) -> None:
        super().__init__()
        self.network, self.objective = network, objective
        self._optimization = optimization

    def predict(self, batch: Batch, *, keep_rnn_weights: bool = False) -> Restoration:
        """Run the part of the network that this task trains."""
        raise NotImplementedError

    def evaluate(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """Score a validation batch: scores by name, each (B,)."""
        raise NotImplementedError

    def losses(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """Terms of the objective and their ``total``."""
        terms: dict[str, Tensor] = self.objective(
            prediction, batch, self.network.frame_offsets, self.network.flow_offsets
        )
        return terms

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Lightning's hook."""
        terms = self.losses(batch, self.predict(batch))
        total = terms.pop("total")
        if not torch.isfinite(total):
            raise Failure(
                f"the loss is {total.item()} at step {self.global_step}, "
                f"samples {', '.join(batch['key'])}: training has stopped; "
                "lower optimizer.optimizer.lr, or look at these samples"
            )
        self.log("train/loss", total, prog_bar=True)
        if len(terms) > 1:
            self.log_dict({f"train/{name}": value for name, value in terms.items()})
        return total

    # Lightning hands whatever a step returns to the callbacks, but declares tensors and mappings
    # alone; a Restoration is a tuple.
    def validation_step(self, batch: Batch, batch_idx: int) -> Restoration:  # type: ignore[override]
        """Lightning's hook; returns the prediction for the callbacks that show pictures."""
        prediction = self.predict(batch, keep_rnn_weights=True)
        self._log_scores("val", batch, prediction)
        return prediction

    # As above.
    def test_step(self, batch: Batch, batch_idx: int) -> Restoration:  # type: ignore[override]
        """Lightning's hook."""
        prediction = self.predict(batch)
        self._log_scores("test", batch, prediction)
        return prediction

    def _log_scores(self, stage: str, batch: Batch, prediction: Restoration) -> None:
        scores = self.evaluate(batch, prediction)
        scores["loss"] = self.losses(batch, prediction)["total"]
        for name, score in scores.items():
            self.log(
                f"{stage}/{name}",
                score.mean(),
                # So that Lightning's mean over batches is one over frames.
                batch_size=len(batch["key"]),
                prog_bar=stage == "val" and f"val/{name}" == self.score,
                sync_dist=True,
            )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Lightning's hook: the gradient's norm before it is clipped."""
        # The trainer's logger connector sets the attribute, which its class does not declare.
        interval: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self.trainer.global_step % interval == 0:
            gradients = [each.grad for each in self.parameters() if each.grad is not None]
            self.log("train/gradient_norm", torch.nn.utils.get_total_norm(gradients))

    def configure_optimizers(self) -> Any:
        """Lightning's hook."""
        optimizer, scheduler = self._optimization.configure(self, self.trainer.max_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
