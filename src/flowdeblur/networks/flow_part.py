"""The part of a network that predicts flow."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import nn

from flowdeblur.types import FlowNetwork, Network


def predicts_flow(network: Network) -> TypeGuard[FlowNetwork]:
    """Whether the network has neighbours to predict flow to, and ``predict_flows``."""
    return bool(network.flow_offsets) and hasattr(network, "predict_flows")


def flow_parameters(network: FlowNetwork) -> dict[str, nn.Parameter]:
    """Find the parameters that the predicted flow depends on, by a backward pass.

    Returns:
        The parameters by name; the others get no gradient where only flow is trained.
    """
    named = dict(network.named_parameters())
    device = next(iter(named.values())).device
    frames = torch.zeros(1, len(network.frame_offsets), 3, 64, 64, device=device)
    total = torch.stack([flow.sum() for flow in network.predict_flows(frames)]).sum()
    gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {
        name: parameter
        for (name, parameter), gradient in zip(named.items(), gradients, strict=True)
        if gradient is not None
    }
