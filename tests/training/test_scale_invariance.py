"""The unit of an objective must not decide what is learned."""

from __future__ import annotations

import pytest
import torch
from tests.composition import PEERS, compose_config

from flowdeblur.data.datamodule import collate
from flowdeblur.engine import assembly
from flowdeblur.engine.configuration import config_dir, plain
from flowdeblur.networks.initialization import layers
from flowdeblur.scenes import Scenes

STEPS = 50
PUBLISHED = ["experiment=paper", "experiment=released_code"]  # L2 decay; sums over pixels
EXPERIMENTS = {f"experiment={each.stem}" for each in (config_dir() / "experiment").glob("*.yaml")}
OWN = [
    "objective=fast",
    "objective=decibels",
    "task=flow",
    "task=flow objective=flow_warping",
    *sorted(EXPERIMENTS - {*PUBLISHED} - {f"experiment={name}" for name in PEERS}),
]


def make_batch(size: int):
    scenes = Scenes("train", 1, size=(size, size), cache=None).open((0, 1), (1,))
    return collate([scenes[0]])


def compose(recipe: str, width: int = 2) -> dict:
    small = (f"model.width={width}", "init.network=null", "data=scenes")
    return plain(compose_config(*recipe.split(), *small))


def make_task(settings):
    return assembly.make_task(settings, assembly.make_network(settings))


def backward(task, batch, clip: float | None, factor: float = 1.0) -> None:
    (factor * task.losses(batch, task.training_forward(batch))["total"]).backward()
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(task.parameters(), clip)


def parameters(task) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in task.network.parameters()])


def trained(settings, batch, factor: float) -> torch.Tensor:
    """The parameters after 50 steps on ``factor`` times the objective."""
    task = make_task(settings)
    optimizer, scheduler = task._optimization.configure(task)
    for _ in range(STEPS):
        optimizer.zero_grad()
        backward(task, batch, settings["trainer"]["gradient_clip_val"], factor)
        optimizer.step()
        scheduler.step()
    return parameters(task)


@pytest.mark.parametrize(
    "recipe", [OWN[0], *(pytest.param(each, marks=pytest.mark.slow) for each in OWN[1:])]
)
def test_the_unit_of_the_objective_decides_nothing(recipe):
    settings, batch = compose(recipe), make_batch(64)
    small, large = (trained(settings, batch, 2.0**exponent) for exponent in (-20, 20))
    moved = (large - parameters(make_task(settings))).abs().max()
    assert moved > 1e-3
    assert torch.allclose(small, large, rtol=0, atol=1e-6)


@pytest.mark.parametrize("recipe", OWN)
def test_own_recipes_have_nothing_in_the_units_of_the_gradient(recipe):
    settings = compose(recipe)
    optimizer = settings["optimizer"]
    assert optimizer["_target_"] == "torch.optim.AdamW"
    assert optimizer["eps"] <= 1e-20
    assert settings["trainer"]["gradient_clip_val"] is None


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_the_published_decay_is_small_against_every_gradient(recipe):
    """The paper's flow subnet starts pretrained; from Xavier's, one layer is at 83."""
    start = "init.flow=small" if recipe == "experiment=paper" else ""
    settings = compose(f"{recipe} {start}", width=8)
    task = make_task(settings)
    optimizer, _ = task._optimization.configure(task)
    backward(task, make_batch(128), settings["trainer"]["gradient_clip_val"])
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    ratios = {
        name: (layer.weight.grad.norm() / (decays[id(layer.weight)] * layer.weight.norm())).item()
        for name, layer in layers(task.network)
        if decays[id(layer.weight)]
    }
    assert len(ratios) > 20
    assert min(ratios.values()) > 100
