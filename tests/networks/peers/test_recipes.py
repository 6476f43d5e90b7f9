from __future__ import annotations

import pytest
from tests.composition import PEERS, compose_config

from flowdeblur.engine.assembly import make_network, make_task
from flowdeblur.engine.configuration import plain

# Steps, batch, patch, learning rate, betas, weight decay, clipping: as published.
RECIPES = {
    "svrnn": (200_000, 20, 128, 1e-4, [0.9, 0.999], 2e-6, 10_000),
    "nafnet": (200_000, 32, 256, 1e-3, [0.9, 0.9], 1e-3, 0.01),
    "dbn": (80_000, 64, 128, 5e-3, [0.9, 0.999], 0, None),
    "srn": (524_000, 16, 256, 1e-4, [0.9, 0.999], 0, None),
    "nah": (131_000, 16, 256, 1e-4, [0.9, 0.999], 0, None),
    "estrnn": (122_000, 8, 256, 5e-4, [0.9, 0.999], 0, None),
    "ovd": (200_000, 8, 128, 1e-4, [0.9, 0.999], 0, None),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_as_published(name):
    settings = plain(compose_config(f"experiment={name}"))
    optimizer, data, trainer = (settings[key] for key in ("optimizer", "data", "trainer"))
    assert (
        trainer["max_steps"],
        data["batch_size"],
        data["patch"][0],
        optimizer["lr"],
        optimizer["betas"],
        optimizer["weight_decay"],
        trainer["gradient_clip_val"],
    ) == RECIPES[name]
    assert settings["model"]["_target_"].rpartition(".")[2].lower() == name
    assert settings["init"]["scheme"]["_target_"].endswith("own")


def rates(name, *steps):
    """Learning rate of the weights after so many steps, relative to the first."""
    settings = plain(compose_config(f"experiment={name}", "model.width=4"))
    task = make_task(settings, make_network(settings))
    optimizer, scheduler = task._optimization.configure(task)
    (factor,) = {group["lr"] / group["initial_lr"] for group in optimizer.param_groups}
    assert factor == 1
    values = []
    for step in steps:
        scheduler.last_epoch = step
        if hasattr(scheduler, "_get_closed_form_lr"):
            values.append(scheduler._get_closed_form_lr()[0] / optimizer.defaults["lr"])
        else:
            values.append(scheduler.lr_lambdas[0](step))
    return values


def test_schedules():
    assert rates("svrnn", 100_000) == [0.25]
    assert rates("srn", 262_000) == pytest.approx([0.5**0.3])
    assert rates("nafnet", 100_000, 200_000) == pytest.approx([0.5, 1e-4], rel=1e-3)
    assert rates("dbn", 23_999, 24_000, 32_000, 79_999) == [1, 0.5, 0.25, 0.5**7]
    assert rates("nah", 65_499, 65_500, 98_250, 117_900) == [1, 0.5, 0.25, 0.125]


def test_biases_of_svrnn_learn_twice_as_fast():
    settings = plain(compose_config("experiment=svrnn", "model.width=4"))
    task = make_task(settings, make_network(settings))
    optimizer, _ = task._optimization.configure(task)
    by_rate = {group["lr"]: group["params"] for group in optimizer.param_groups}
    assert sorted(by_rate) == pytest.approx([1e-4, 2e-4])
    assert all(each.ndim == 1 for each in by_rate[max(by_rate)])
    assert all(each.ndim == 4 for each in by_rate[min(by_rate)])


@pytest.mark.parametrize("name", PEERS)
def test_the_common_recipe_holds_for_every_network(name):
    chosen = plain(compose_config("experiment=common", f"model={name}"))
    ours = plain(compose_config("experiment=common"))
    assert {key for key in ours if ours[key] != chosen[key]} == {"model"}
