"""Base class of the tasks: training step, check of the loss, optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import lightning as L
import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.evaluation.scorer import AnyMetric, Scorer, lower_is_better, partial
from flowdeblur.training import processes
from flowdeblur.training.objectives import Objective
from flowdeblur.training.optimization import Optimization
from flowdeblur.training.processes import FrameMeans
from flowdeblur.types import Batch, Network, Restoration


class Task(L.LightningModule):
    """Train ``network`` to minimize ``objective``.

    Args:
        network: the network to train.
        objective: what is minimized.
        optimization: optimizer, scheduler and parameter groups.
        metrics: scores of restored frames by name, besides those that the task computes itself.
        score: validation score that ranks checkpoints and runs of a sweep, such as ``val/psnr``.
        score_mode: whether a higher (``max``) or a lower (``min``) score is better.
        flow_first: steps at the start of the run that train the flow prediction only, which is
            several times as fast; for tasks that train more than flow.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        optimization: Optimization,
        *,
        metrics: Mapping[str, AnyMetric],
        score: str,
        score_mode: Literal["max", "min"],
        flow_first: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.objective = network, objective
        self.score, self.score_mode, self.flow_first = score, score_mode, flow_first
        self.lower_is_better = [name for name, each in metrics.items() if lower_is_better(each)]
        """Names of the metrics whose lower score is better."""
        self._scorers = {"": Scorer(metrics), "_blurry": Scorer(metrics)}  # by end of the names
        self._partial = {
            f"{name}{end}"
            for name, each in metrics.items()
            if partial(each)
            for end in self._scorers
        }
        self.frame_scores: list[dict[str, float | str | None]] = []
        """Scores of every frame of the last test, with its ``key``; None where not defined."""
        self._optimization = optimization
        self._terms: list[Tensor] = []  # of the batches accumulated in this step
        self._suspects: list[str] = []  # samples of this process with a loss that is not finite
        self._means = FrameMeans()
        self.prepare()

    def prepare(self) -> None:
        """Called at the end of the constructor; a task may adapt objective and network."""

    def training_forward(self, batch: Batch, *, keep_rnn_weights: bool = False) -> Restoration:
        """Run the part of the network that this task trains; returns float32 in any precision."""
        raise NotImplementedError

    def scores(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """Scores of a validation batch by name, each (B,), or () for a score of the whole batch."""
        raise NotImplementedError

    def test_scores(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """Scores of a test batch; may be more than those of a validation batch."""
        return self.scores(batch, prediction)

    def losses(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """Terms of the objective by name, and their ``total``."""
        terms: dict[str, Tensor] = self.objective(
            prediction, batch, self.network.frame_offsets, self.network.flow_offsets
        )
        return terms

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Lightning's hook."""
        keep = self.objective.saturation is not None
        terms = self.losses(batch, self.training_forward(batch, keep_rnn_weights=keep))
        if not torch.isfinite(terms["total"]):
            self._suspects += batch["key"]
        logged = dict(sorted(terms.items()))
        if self.objective.end_point is not None and self.network.flow_offsets:
            # A mixture has batches without true flow, but all processes must log the same terms.
            logged = {"end_point": torch.zeros_like(terms["total"]), **logged}
        self._terms.append(torch.stack(list(logged.values())).detach())
        if (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0:
            self._log_terms(list(logged))
        return terms["total"]

    def _log_terms(self, names: list[str]) -> None:
        """Log the loss of a step: the mean over accumulated batches and processes."""
        mean = processes.total(torch.stack(self._terms).mean(0)) / processes.count()
        self._terms = []
        values = dict(zip(names, mean, strict=True))
        loss = values.pop("total")
        if values.get("end_point") == 0:
            del values["end_point"]  # no sample of this step has true flow
        if not torch.isfinite(loss):  # the same in all processes, so that none waits for another
            samples = ", ".join(self._suspects) or "see the log of the other rank"
            raise RuntimeFailureError(
                f"the loss is {loss.item()} at step {self.global_step}, samples {samples}: "
                "training stopped; lower optimizer.lr, or check these samples"
            )
        self.log("train/loss", loss, prog_bar=True)
        if len(values) > 1:
            self.log_dict({f"train/{name}": value for name, value in values.items()})

    # Lightning passes whatever a step returns to the callbacks, but declares only tensors and
    # mappings; a Restoration is a tuple.
    def validation_step(self, batch: Batch, batch_idx: int) -> Restoration:  # type: ignore[override]
        """Lightning's hook; returns the prediction for the callbacks."""
        prediction = self.training_forward(batch, keep_rnn_weights=True)
        self._collect(batch, prediction, self.scores(batch, prediction))
        return prediction

    def on_test_start(self) -> None:
        """Lightning's hook."""
        self.frame_scores = []

    # As above.
    def test_step(self, batch: Batch, batch_idx: int) -> Restoration:  # type: ignore[override]
        """Lightning's hook."""
        prediction = self.training_forward(batch)
        scores = self.test_scores(batch, prediction)
        each = {name: score.tolist() for name, score in scores.items() if score.ndim}
        for place, key in enumerate(batch["key"]):
            values: dict[str, float | None] = {name: score[place] for name, score in each.items()}
            for name in self._partial & values.keys():
                if math.isnan(each[name][place]):
                    values[name] = None
            self.frame_scores.append({"key": key, **values})
        self._collect(batch, prediction, scores)
        return prediction

    def _collect(self, batch: Batch, prediction: Restoration, scores: dict[str, Tensor]) -> None:
        loss = self.losses(batch, prediction)["total"]
        self._means.add({**scores, "loss": loss}, len(batch["key"]), self._partial)

    def on_validation_epoch_end(self) -> None:
        """Lightning's hook."""
        for name, score in self._means.pop(self.device).items():
            self.log(f"val/{name}", score, prog_bar=f"val/{name}" == self.score)

    def on_test_epoch_end(self) -> None:
        """Lightning's hook."""
        self.log_dict(
            {f"test/{name}": score for name, score in self._means.pop(self.device).items()}
        )
        self.frame_scores = processes.gathered(self.frame_scores)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Lightning's hook: log the norm of the gradient before clipping."""
        # The trainer's logger connector sets the attribute, which its class does not declare.
        interval: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self.trainer.global_step % interval == 0:
            gradients = [each.grad for each in self.parameters() if each.grad is not None]
            self.log("train/gradient_norm", torch.nn.utils.get_total_norm(gradients))

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's hook.

        Lightning rejects fused optimizers in every mixed precision, although only float16 scales
        the gradients.

        Raises:
            UserError: fused optimizer and float16.
        """
        plugin = self.trainer.precision_plugin
        if isinstance(plugin, MixedPrecision) and optimizer.defaults.get("fused"):
            if plugin.scaler is not None:
                raise UserError(
                    "trainer.precision=16-mixed cannot clip the gradients of a fused optimizer; "
                    "set trainer.precision=bf16-mixed, or optimizer.fused=false"
                )
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val or 0.0)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> Any:
        """Lightning's hook."""
        optimizer, scheduler = self._optimization.configure(cast(nn.Module, self.network))
        if scheduler is None:
            return optimizer
        steps: dict[str, Any] = {"scheduler": scheduler, "interval": "step"}
        if isinstance(scheduler, ReduceLROnPlateau):  # it reads the score after each validation
            steps |= {"monitor": self.score, "frequency": int(self.trainer.val_check_interval)}
        return {"optimizer": optimizer, "lr_scheduler": steps}
