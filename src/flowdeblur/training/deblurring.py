"""Train the whole network to restore frames."""

from __future__ import annotations

import torch
from torch import Tensor

from flowdeblur.evaluation.flow_baselines import flow_baselines
from flowdeblur.evaluation.metrics import end_point_error, psnr
from flowdeblur.networks.flow_part import predicts_flow
from flowdeblur.training.task import Task
from flowdeblur.types import Batch, Restoration


class DeblurringTask(Task):
    """Restore sharp frames; flow is learned too if the objective has a term for it.

    The arguments are those of :class:`Task`.
    """

    def training_forward(self, batch: Batch, *, keep_rnn_weights: bool = False) -> Restoration:
        """Restore; the first ``flow_first`` steps predict flow only and keep the blurry frame."""
        network = self.network
        if (
            self.training
            and predicts_flow(network)
            and self.global_step < self.flow_first
            and self.objective.has_flow_term(batch, network.flow_offsets)
        ):
            flows = network.predict_flows(batch["frames"])
            return Restoration(self._blurry(batch), flows, ()).float()
        prediction = self.network(batch["frames"], keep_rnn_weights=keep_rnn_weights)
        return prediction.float()

    def scores(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """Scores by the metrics, of the restored frame and of the blurry one (``*_blurry``).

        If known, also the end-point error of the flow and statistics of the RNN weights.
        """
        sharp, blurry = batch["sharp"], self._blurry(batch)
        scores: dict[str, Tensor] = {}
        for end, frames in (("", prediction.restored), ("_blurry", blurry)):
            found = self._scorers[end](batch["key"], frames, sharp)
            scores |= {f"{name}{end}": score for name, score in found.items()}
        if prediction.flows and "flow" in batch:
            scores["epe"] = end_point_error(
                prediction.flows[-1], batch["flow"], batch.get("visible")
            )
        if prediction.rnn_weights:
            scores |= rnn_weight_statistics(prediction.rnn_weights)
        return scores

    def test_scores(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """Scores of the validation, and those of the same frame given several times (Fig. 6).

        The difference shows what the neighbours contribute. ``motion_px`` is the mean length of the
        true flow to the last neighbour; the errors of zero flow and of DIS are beside the predicted
        flow's.
        """
        scores = self.scores(batch, prediction)
        if len(self.network.frame_offsets) > 1:
            same: Batch = {
                **batch,
                "frames": self._blurry(batch).unsqueeze(1).expand_as(batch["frames"]),
            }
            scores["psnr_same_frame"] = psnr(self.training_forward(same).restored, batch["sharp"])
        if "flow" in batch:
            scores["motion_px"] = batch["flow"][:, -2:].norm(dim=1).mean((1, 2))
        if "epe" in scores:
            network = self.network
            scores |= flow_baselines(batch, network.frame_offsets, network.flow_offsets)
        return scores

    def _blurry(self, batch: Batch) -> Tensor:
        return batch["frames"][:, self.network.current_index]


def rnn_weight_statistics(rnn_weights: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Statistics of the RNN weights.

    Weights near 1 carry information far; near -1 the recurrence oscillates.

    Returns:
        ``rnn_weight_magnitude``, the mean |w|; ``rnn_weight_extreme``, the share of |w| > 0.9;
        ``rnn_weight_lowest``, the smallest w; of each frame over all scales, (B,).
    """
    flat = torch.cat([each.flatten(1) for each in rnn_weights], dim=1)
    return {
        "rnn_weight_magnitude": flat.abs().mean(1),
        "rnn_weight_extreme": (flat.abs() > 0.9).float().mean(1),
        "rnn_weight_lowest": flat.amin(1),
    }
