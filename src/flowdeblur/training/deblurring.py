"""Train the whole network to restore frames."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from flowdeblur.evaluation.metrics import end_point_error, psnr, ssim
from flowdeblur.networks.flow_part import predicts_flow
from flowdeblur.training.task import Task
from flowdeblur.types import Batch, Restoration


class DeblurringTask(Task):
    """Restore sharp frames; flow is learnt on the way as far as the objective asks for it."""

    score: ClassVar[str] = "val/psnr"
    score_mode: ClassVar[str] = "max"

    def predict(self, batch: Batch, *, keep_rnn_weights: bool = False) -> Restoration:
        """Run the whole; while flow comes first, the blurry frame stands for the restored one."""
        network = self.network
        if (
            self.training
            and predicts_flow(network)
            and self.global_step < self._optimization.flow_first
            and self.objective.teaches_flow(batch, network.flow_offsets)
        ):
            flows = network.predict_flows(batch["frames"])
            return Restoration(self._blurry(batch), flows, ()).float()
        prediction = self.network(batch["frames"], keep_rnn_weights=keep_rnn_weights)
        return prediction.float()

    def evaluate(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """PSNR and SSIM of the restored and of the blurry frame.

        Where they are known, also the flow's end-point error and the state of the RNN weights.
        """
        sharp, blurry = batch["sharp"], self._blurry(batch)
        scores = {
            "psnr": psnr(prediction.restored, sharp),
            "psnr_blurry": psnr(blurry, sharp),
            "ssim": ssim(prediction.restored, sharp),
            "ssim_blurry": ssim(blurry, sharp),
        }
        if prediction.flows and "flow" in batch:
            scores["epe"] = end_point_error(
                prediction.flows[-1], batch["flow"], batch.get("visible")
            )
        if prediction.rnn_weights:
            scores |= rnn_weight_statistics(prediction.rnn_weights)
        return scores

    def evaluate_test(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """Also restore from the same frame given several times (the paper's Fig. 6).

        The difference is what the neighbours are worth. ``motion_px`` is the mean length of the
        true flow to the last neighbour.
        """
        scores = self.evaluate(batch, prediction)
        if len(self.network.frame_offsets) > 1:
            same: Batch = {
                **batch,
                "frames": self._blurry(batch).unsqueeze(1).expand_as(batch["frames"]),
            }
            scores["psnr_same_frame"] = psnr(self.predict(same).restored, batch["sharp"])
        if "flow" in batch:
            scores["motion_px"] = batch["flow"][:, -2:].norm(dim=1).mean((1, 2))
        return scores

    def _blurry(self, batch: Batch) -> Tensor:
        return batch["frames"][:, self.network.current_index]


def rnn_weight_statistics(rnn_weights: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """How far the RNN weights reach.

    Towards 1 they carry information far, towards -1 the recurrence rings.

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
