"""Train the flow subnet alone: the paper starts from a pretrained one."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.evaluation.metrics import end_point_error
from flowdeblur.networks.flow_part import flow_parameters, predicts_flow
from flowdeblur.training.objectives import Objective
from flowdeblur.training.optimization import Optimization
from flowdeblur.training.task import Task
from flowdeblur.types import Batch, Network, Restoration


class FlowTask(Task):
    """Predict the flow between blurry frames.

    It is supervised by true flow or by warping, as the objective says.

    Raises:
        UserError: the network predicts no flow.
    """

    score: ClassVar[str] = "val/loss"
    score_mode: ClassVar[str] = "min"

    def __init__(self, network: Network, objective: Objective, optimization: Optimization) -> None:
        super().__init__(network, objective, optimization)
        if not predicts_flow(network):
            raise UserError(
                "task=flow: this model predicts no flow; choose model=proposed or bidirectional"
            )
        # Neither weight decay nor DDP should wait for gradients that never come.
        trained = flow_parameters(network)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in trained)
        self._predict_flows = network.predict_flows

    def predict(self, batch: Batch, *, keep_rnn_weights: bool = False) -> Restoration:
        """Run the flow subnet; the frame itself stands in for the restored one."""
        frames = batch["frames"]
        current = frames[:, self.network.current_index]
        return Restoration(current, self._predict_flows(frames), ()).float()

    def evaluate(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """End-point error in pixels of the finest flow, and of no flow at all, if flow is known."""
        if "flow" not in batch:
            return {}
        flow, true_flow, visible = prediction.flows[-1], batch["flow"], batch.get("visible")
        return {
            "epe": end_point_error(flow, true_flow, visible),
            "epe_of_zero": end_point_error(torch.zeros_like(flow), true_flow, visible),
        }
