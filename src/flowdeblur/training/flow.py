"""Train the flow subnet alone: the paper starts from a pretrained one."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.evaluation.metrics import end_point_error
from flowdeblur.networks import FlowGuidedDeblurring
from flowdeblur.training.objectives import Objective
from flowdeblur.training.optimization import Optimization
from flowdeblur.training.task import Task
from flowdeblur.types import Batch, Restoration


class FlowTask(Task):
    """Predict the flow between blurry frames.

    It is supervised by true flow or by warping, as the objective says.

    Raises:
        UserError: the network predicts no flow.
    """

    score: ClassVar[str] = "val/loss"
    score_mode: ClassVar[str] = "min"

    def __init__(
        self, network: FlowGuidedDeblurring, objective: Objective, optimization: Optimization
    ) -> None:
        super().__init__(network, objective, optimization)
        if not network.flow_offsets:
            raise UserError(
                "task=flow: this model predicts no flow; choose model=proposed or bidirectional"
            )
        # What only the restoration reads gets no gradient here, and neither decay nor DDP should
        # wait for one.
        network.requires_grad_(False)
        assert network.flow_subnet is not None
        network.flow_subnet.requires_grad_(True)
        for layer in (network.flow_subnet.deconv1, network.flow_subnet.up2to1):
            layer.requires_grad_(False)

    def predict(self, batch: Batch, *, keep_rnn_weights: bool = False) -> Restoration:
        """Run the flow subnet; the frame itself stands in for the restored one."""
        frames = batch["frames"]
        current = frames[:, self.network.frame_offsets.index(0)]
        return Restoration(current, self.network.predict_flows(frames), ()).float()

    def evaluate(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """End-point error in pixels of the finest flow, and of no flow at all, if flow is known."""
        if "flow" not in batch:
            return {}
        flow, true_flow, visible = prediction.flows[-1], batch["flow"], batch.get("visible")
        return {
            "epe": end_point_error(flow, true_flow, visible),
            "epe_of_zero": end_point_error(torch.zeros_like(flow), true_flow, visible),
        }
