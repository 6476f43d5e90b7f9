"""The methods that an evaluation compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flowdeblur import weights
from flowdeblur.engine.configuration import instantiate
from flowdeblur.engine.request import Request
from flowdeblur.errors import UserError
from flowdeblur.evaluation.restorers import (
    BlurryInput,
    FromFolder,
    FromNetwork,
    Restorer,
    RichardsonLucy,
    SameFrame,
)
from flowdeblur.files import sha256
from flowdeblur.networks.contract import require_network
from flowdeblur.networks.ensemble import check_size
from flowdeblur.networks.scales import choose_scale
from flowdeblur.types import Network


@dataclass(frozen=True)
class Restoring:
    """Methods to score.

    Attributes:
        methods: restorers by name.
        facts: their origin, for ``metrics.json``.
        frame_offsets: the frames that they read.
        flow_offsets: the neighbours that flow is predicted to, or that true flow is wanted to.
    """

    methods: dict[str, Restorer]
    facts: dict[str, Any]
    frame_offsets: tuple[int, ...] = (0,)
    flow_offsets: tuple[int, ...] = (1,)


def choose_methods(request: Request, model: Any, device: torch.device) -> Restoring:
    """Make the restorers that a request asks for.

    Args:
        request: what to restore with.
        model: the network's configuration; None where the weights file says it.
        device: to compute on.

    Raises:
        UserError: the request or a file it names is wrong.
    """
    if (request.weights is None) == (request.predictions is None):
        raise UserError(
            "weights: name a weights file or a run folder to restore with, or else "
            "predictions=DIR, a folder of restored frames (one of the two)"
        )
    blurry: dict[str, Restorer] = {"blurry": BlurryInput(0)}
    if request.predictions is not None:
        unset: dict[str, Any] = dict.fromkeys(("same_frame", "deconvolution", "save_frames"), False)
        unset |= {"scale": 1, "ensemble": 1}
        for key, value in unset.items():
            if getattr(request, key) != value:
                raise UserError(f"{key}: needs a network; leave it out with predictions=DIR")
        root = Path(request.predictions).expanduser()
        return Restoring({**blurry, "restored": FromFolder(root)}, {"predictions": str(root)})
    assert request.weights is not None
    path = weights.locate(request.weights)
    network = _network(path, model, request.allow).to(device).eval()
    current = network.current_index
    methods: dict[str, Restorer] = {
        "blurry": BlurryInput(current),
        "restored": FromNetwork(
            network,
            choose_scale(request.scale, memory=0, option="scale="),
            check_size(request.ensemble, "ensemble="),
        ),
    }
    if request.same_frame:
        if len(network.frame_offsets) == 1:
            raise UserError(f"same_frame: the network of {path} reads a single frame anyway")
        methods["same_frame"] = SameFrame(methods["restored"], current)
    if request.deconvolution:
        if not network.flow_offsets:
            raise UserError(f"deconvolution: the network of {path} predicts no flow to follow")
        signs = [1 if offset > 0 else -1 for offset in network.flow_offsets]
        methods["deconvolved"] = RichardsonLucy(FromNetwork(network), signs, current)
    facts = {
        "weights": str(path),
        "weights_sha256": sha256(path),
        "scale": request.scale,
        "ensemble": request.ensemble,
        "parameters": sum(each.numel() for each in network.parameters()),
    }
    # The data may know the flow even if the network predicts none.
    return Restoring(methods, facts, network.frame_offsets, network.flow_offsets or (1,))


def _network(path: Path, model: Any, allow: Sequence[str]) -> Network:
    """Rebuild the network as the file says, or as ``model`` does if it is set."""
    if model is None:
        return weights.load(path, allow=allow)
    network = require_network(instantiate(model, "model"))
    weights.load_into(network, weights.read(path)[0], path)
    return network
