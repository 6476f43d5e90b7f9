"""Proof of life: training must not shrink any layer to nothing."""

from __future__ import annotations

import json

import pytest
import torch
from tests.composition import ROWS, compose_config

from flowdeblur.cli import main
from flowdeblur.data.datamodule import collate
from flowdeblur.engine.assembly import make_network, make_task
from flowdeblur.engine.configuration import plain
from flowdeblur.networks.initialization import layers
from flowdeblur.scenes import Scenes
from flowdeblur.training.callbacks.layer_health import l2_decays

STEPS = 12


def rms(x: torch.Tensor) -> float:
    return x.detach().square().mean().sqrt().item()


@pytest.mark.parametrize("row", ROWS)
def test_every_layer_of_every_row_lives(row):
    settings = plain(compose_config(f"ablation={row}", "model.width=2", "task.flow_first=0"))
    network = make_network(settings)
    task = make_task(settings, network)
    scene = Scenes("train", 1, size=(64, 64), cache=None).open(
        network.frame_offsets, network.flow_offsets
    )
    batch = collate([scene[0]])
    optimizer, _ = task._optimization.configure(network)
    start = {name: rms(layer.weight) for name, layer in layers(network)}
    for _ in range(STEPS):
        optimizer.zero_grad()
        task.losses(batch, task.training_forward(batch))["total"].backward()
        decays = l2_decays(optimizer)
        for name, layer in layers(network):
            decay = decays.get(layer.weight, 0.0) * rms(layer.weight)
            assert rms(layer.weight.grad) >= 100 * decay, name
        optimizer.step()
    scales = {name: rms(layer.weight) / start[name] for name, layer in layers(network)}
    assert min(scales.values()) > 0.1


@pytest.mark.slow
def test_every_layer_of_the_default_job_lives(tmp_path):
    assert main(["train", f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    health = json.loads((tmp_path / "run" / "metrics.json").read_text())["health"]
    assert not health["dead"]
    assert min(layer["scale"] for layer in health["layers"].values()) > 0.1
    assert all(layer.get("gradient_to_decay", 1e9) > 100 for layer in health["layers"].values())
