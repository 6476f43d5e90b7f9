"""Network, task, data and trainer of a run, from plain settings."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from torch import Tensor, nn
from torchmetrics import Metric

from flowdeblur import weights
from flowdeblur.data import DataModule
from flowdeblur.devices import automatic_device
from flowdeblur.engine import cluster
from flowdeblur.engine.checkpoints import AtomicCheckpointIO
from flowdeblur.engine.configuration import instantiate
from flowdeblur.errors import UserError
from flowdeblur.evaluation.metrics import PerFrame
from flowdeblur.evaluation.scorer import AnyMetric
from flowdeblur.extras import import_extra
from flowdeblur.networks.contract import require_network
from flowdeblur.networks.flow_part import flow_parameters, predicts_flow
from flowdeblur.networks.widening import widen, width_of
from flowdeblur.training.callbacks import ProgressBar
from flowdeblur.training.optimization import Optimization
from flowdeblur.training.task import Task
from flowdeblur.types import Network

_log = logging.getLogger(__name__)


def make_network(settings: Mapping[str, Any]) -> Network:
    """Build the network and its initial weights.

    They are a function of the seed and of the files named in ``init``.

    Raises:
        UserError: the configuration, or a file that ``init`` names, is wrong.
    """
    try:
        network = require_network(instantiate(settings["model"], "model"))
    except UserError as error:
        raise UserError(f"model: {str(error).removeprefix('model: ')}") from None
    init = settings["init"]
    generator = torch.Generator().manual_seed(settings["seed"])
    instantiate(init["scheme"], "init.scheme")(network, generator)
    fit = partial(_widened, network=network, model=settings["model"], generator=generator)
    if init["network"] is not None:
        _load_parts({"": network}, init["network"], "init.network", fit)
    if init["flow"] is not None and predicts_flow(network):
        heads = {name.rpartition(".")[0].partition(".")[0] for name in flow_parameters(network)}
        parts = {f"{head}.": network.get_submodule(head) for head in sorted(heads)}
        _load_parts(parts, init["flow"], "init.flow", fit)
    return network


def _load_parts(
    parts: Mapping[str, Network | nn.Module],
    source: str,
    key: str,
    fit: Callable[[dict[str, Tensor], Path], dict[str, Tensor]],
) -> None:
    try:
        path = weights.locate(source)
        tensors = fit(weights.read(path)[0], path)
        for prefix, part in parts.items():
            weights.load_into(part, tensors, path, prefix)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None


def _widened(
    tensors: dict[str, Tensor],
    path: Path,
    network: Network,
    model: Mapping[str, Any],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Weights of the same network at a smaller width, widened; others as they are."""
    width, wide = width_of(tensors), width_of(network.state_dict())
    if not 0 < width < wide or "width" not in model:
        return tensors
    with torch.device("meta"):
        narrow = instantiate({**model, "width": width}, "model").state_dict()
    if {name: each.shape for name, each in narrow.items()} != {
        name: each.shape for name, each in tensors.items()
    }:
        return tensors
    _log.info("%s: widened from %d to %d channels", path, width, wide)
    return widen(network, tensors, generator)


def make_task(settings: Mapping[str, Any], network: Network) -> Task:
    """Build the LightningModule that trains ``network``."""
    scheduler, groups = (
        instantiate(settings[key], key) if settings.get(key) else None
        for key in ("scheduler", "parameter_groups")
    )
    task: Task = instantiate(
        settings["task"],
        "task",
        network=network,
        objective=instantiate(settings["objective"], "objective"),
        optimization=Optimization(
            instantiate(settings["optimizer"], "optimizer"), scheduler, groups
        ),
        metrics=make_metrics(settings),
    )
    return task


def make_metrics(settings: Mapping[str, Any]) -> dict[str, AnyMetric]:
    """Build the metrics by name; an entry of null is left out."""
    metrics = {
        name: instantiate(node, f"metrics.{name}")
        for name, node in settings["metrics"].items()
        if node
    }
    return {
        name: PerFrame(each) if isinstance(each, Metric) else each for name, each in metrics.items()
    }


def make_data(settings: Mapping[str, Any], network: Network) -> DataModule:
    """Build the data module that provides the frames and flow that ``network`` asks for."""
    data: DataModule = instantiate(
        settings["data"],
        "data",
        frame_offsets=network.frame_offsets,
        flow_offsets=network.flow_offsets,
    )
    return data


def make_trainer(
    settings: Mapping[str, Any], before: Sequence[L.Callback], after: Sequence[L.Callback] = ()
) -> L.Trainer:
    """Build the trainer with the callbacks and loggers of the configuration.

    Args:
        settings: plain values of the whole configuration.
        before: callbacks that run before those of the configuration.
        after: callbacks that run after them.

    Raises:
        UserError: the configuration is wrong.
    """
    callbacks = [
        instantiate(node, f"callbacks.{name}")
        for name, node in settings.get("callbacks", {}).items()
        if node
    ]
    if any("TensorBoardLogger" in str(node) for node in settings.get("logger", {}).values()):
        import_extra("tensorboard", "tensorboard")
    loggers = [
        instantiate(node, f"logger.{name}")
        for name, node in settings.get("logger", {}).items()
        if node
    ]
    if not loggers:  # Lightning's monitor needs one
        callbacks = [each for each in callbacks if not isinstance(each, LearningRateMonitor)]
    if not sys.stdout.isatty():
        settings = {**settings, "trainer": {**settings["trainer"], "enable_progress_bar": False}}
    if settings["trainer"]["enable_progress_bar"]:
        callbacks.append(ProgressBar())
    described = settings["trainer"]
    if described.get("accelerator") == "auto":  # Lightning's choice may be one without kernels
        described = {**described, "accelerator": automatic_device().type}
    trainer: L.Trainer = instantiate(
        described,
        "trainer",
        # ModelCheckpoint runs last in any case, when the history is complete.
        callbacks=[*before, *callbacks, *after],
        logger=loggers,
        plugins=[AtomicCheckpointIO(), *cluster.plugins()],
    )
    for name in ("limit_val_batches", "limit_test_batches"):
        if not getattr(trainer, name):
            raise UserError(
                f"trainer.{name}: must be above 0; checkpoints follow validations, and a run ends "
                "with its scores"
            )
    return trainer
