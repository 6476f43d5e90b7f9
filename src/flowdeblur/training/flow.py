"""Train the flow prediction only; the paper starts from a pretrained flow subnet."""

from __future__ import annotations

import torch
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.evaluation.metrics import end_point_error
from flowdeblur.networks.flow_part import flow_parameters, predicts_flow
from flowdeblur.training.task import Task
from flowdeblur.types import Batch, Restoration


class FlowTask(Task):
    """Predict the flow between blurry frames.

    The objective supervises it by true flow or by warping; a restoration term is omitted. The
    arguments are those of :class:`Task`; ``flow_first`` has no effect.

    Raises:
        UserError: the network predicts no flow.
    """

    def prepare(self) -> None:
        """Keep the flow terms of the objective and the parameters that flow depends on."""
        self.objective, network = self.objective.flow_terms(), self.network
        if not predicts_flow(network):
            raise UserError(
                "task=flow: this model predicts no flow; choose model=proposed or bidirectional"
            )
        # DDP would wait for the gradients of parameters that flow does not depend on.
        trained = flow_parameters(network)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in trained)
        self._predict_flows = network.predict_flows

    def training_forward(self, batch: Batch, *, keep_rnn_weights: bool = False) -> Restoration:
        """Predict flow only; the blurry frame is returned as the restored one."""
        frames = batch["frames"]
        current = frames[:, self.network.current_index]
        return Restoration(current, self._predict_flows(frames), ()).float()

    def scores(self, batch: Batch, prediction: Restoration) -> dict[str, Tensor]:
        """End-point error in pixels of the finest and of zero flow, if the true flow is known."""
        if "flow" not in batch:
            return {}
        flow, true_flow, visible = prediction.flows[-1], batch["flow"], batch.get("visible")
        return {
            "epe": end_point_error(flow, true_flow, visible),
            "epe_of_zero": end_point_error(torch.zeros_like(flow), true_flow, visible),
        }
