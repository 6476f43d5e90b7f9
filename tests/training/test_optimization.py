from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch
from tests.composition import compose_config, make_model

from flowdeblur.engine.configuration import instantiate, plain
from flowdeblur.errors import UserError
from flowdeblur.training.optimization import (
    GroupsByFanIn,
    GroupsByName,
    OneCycle,
    Optimization,
    polynomial,
    warmup_cosine,
)

adam = functools.partial(torch.optim.Adam, lr=1e-3)


def factors(scheduler, steps):
    recipe = Optimization(adam, scheduler)
    optimizer, scheduler = recipe.configure(torch.nn.Linear(1, 1))
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"] / 1e-3)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return rates


def test_warmup_then_cosine():
    schedule = functools.partial(warmup_cosine, total_steps=104, warmup_steps=4, final=0.1)
    rates = factors(schedule, 104)
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[54] == pytest.approx((1 + 0.1) / 2)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert all(a >= b for a, b in itertools.pairwise(rates[4:]))


def test_polynomial():
    rates = factors(functools.partial(polynomial, last_step=100, power=2.0), 50)
    assert rates == pytest.approx([(1 - k / 100) ** 2 for k in range(50)])


def test_constant_by_default():
    assert factors(None, 5) == [1.0] * 5


def test_a_scheduler_of_torch():
    step = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.1)
    assert factors(step, 5) == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_a_resumed_schedule_may_have_another_budget():
    module = torch.nn.Linear(1, 1)
    _, short = Optimization(adam, functools.partial(warmup_cosine, total_steps=10)).configure(
        module
    )
    state = short.state_dict()
    recipe = Optimization(adam, functools.partial(warmup_cosine, total_steps=1000))
    optimizer, long = recipe.configure(module)
    long.load_state_dict(state)
    optimizer.step()
    long.step()
    assert long.get_last_lr()[0] == pytest.approx(1e-3 * (1 + math.cos(math.pi / 1000)) / 2)


def test_the_released_codes_groups():
    network = make_model("proposed", width=4)
    settings = plain(compose_config("experiment=released_code"))
    make_optimizer, groups = (
        instantiate(settings[key], key) for key in ("optimizer", "parameter_groups")
    )
    optimizer, _ = Optimization(make_optimizer, groups=groups).configure(network)
    options = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    named = dict(network.named_parameters())
    expected = {
        "flow_subnet.conv1.weight": (1e-4, 1e-6),
        "flow_subnet.conv1.bias": (1e-4, 0.0),
        "flow_subnet.flow2.bias": (1e-4, 0.0),
        "flow_subnet.deconv5.weight": (1e-4, 0.0),
        "flow_subnet.up6to5.weight": (1e-4, 0.0),
        "deblurring_subnet.d_deconv3.weight": (1e-4, 0.0),
        "deblurring_subnet.d_deconv3_1.weight": (1e-4, 0.0),
        "deblurring_subnet.d_conv3_2.weight": (1e-4, 1e-6),
        "deblurring_subnet.d_conv3_2.bias": (2e-4, 1e-6),
        "deblurring_subnet.d_conv0.bias": (2e-4, 1e-6),
        "deblurring_subnet.rnn2.rnnw.bias": (2e-4, 1e-6),
        "deblurring_subnet.rnn2.rnnw.weight": (1e-4, 1e-6),
    }
    assert {name: options[id(named[name])] for name in expected} == expected
    frozen = {name for name, each in named.items() if id(each) not in options}
    assert frozen == {
        name
        for name in named
        if name.endswith("bias") and name.split(".")[1].startswith(("deconv", "up", "d_deconv"))
    }
    assert not any(named[name].requires_grad for name in frozen)


def test_one_cycle_keeps_the_ratio_of_the_groups_rates():
    rules = [{"names": ["bias"], "lr_factor": 0.1}]
    schedule = functools.partial(OneCycle, total_steps=20)
    recipe = Optimization(adam, schedule, GroupsByName(rules))
    optimizer, scheduler = recipe.configure(torch.nn.Linear(1, 1))
    rates = []
    for _ in range(20):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    assert max(rates) == pytest.approx([1e-3, 1e-4])
    assert all(other == pytest.approx(0.1 * one) for one, other in rates)


def test_one_cycle_resumes_with_another_budget():
    def start(steps):
        recipe = Optimization(adam, functools.partial(OneCycle, total_steps=steps))
        return recipe.configure(torch.nn.Linear(1, 1))

    def rate_at(optimizer, scheduler, step):
        while scheduler.last_epoch < step:
            optimizer.step()
            scheduler.step()
        return optimizer.param_groups[0]["lr"]

    short, long, resumed = start(20), start(40), start(40)
    rate_at(*short, 19)
    for old, new in zip(short, resumed, strict=True):
        new.load_state_dict(old.state_dict())
    assert rate_at(*resumed, 39) == rate_at(*long, 39)


def test_a_misspelled_option_of_a_rule_is_refused():
    recipe = Optimization(adam, groups=GroupsByName([{"names": ["bias"], "lr_facto": 0.1}]))
    with pytest.raises(UserError, match="rules: lr_facto: no option of Adam"):
        recipe.configure(torch.nn.Linear(1, 1))


def test_a_rule_without_names_is_refused():
    with pytest.raises(UserError, match=r"parameter_groups.rules: every rule needs names"):
        GroupsByName([{"lr_factor": 2.0}])


def test_frozen_parameters_are_not_optimised():
    module = torch.nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    optimizer, _ = Optimization(adam).configure(module)
    assert [p is module.weight for p in optimizer.param_groups[0]["params"]] == [True]


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (torch.nn.Conv2d(64, 3, 5), 64 * 25),
        (torch.nn.Conv2d(64, 64, 3, groups=64), 9),
        (torch.nn.ConvTranspose2d(48, 8, 4, stride=2), 48 * 4),
        (torch.nn.Linear(512, 2), 512),
        (torch.nn.PReLU(4), 1),
    ],
)
def test_rates_by_fan_in(layer, fan_in):
    (group,) = GroupsByFanIn(reference=100)(layer)
    assert group["lr_factor"] == pytest.approx(min(1, 100 / fan_in))
    assert {id(each) for each in group["params"]} == {id(each) for each in layer.parameters()}


def test_fan_in_sorts_every_trainable_parameter_once():
    network = make_model("small")
    network.flow_subnet.conv1.requires_grad_(False)
    sorted_ = [id(each) for group in GroupsByFanIn()(network) for each in group["params"]]
    trained = [id(each) for each in network.parameters() if each.requires_grad]
    assert sorted(sorted_) == sorted(trained)


def test_with_rates_by_fan_in_wide_layers_change_what_they_compute_as_much_as_narrow_ones():
    changes = []
    for channels in (256, 4096):
        torch.manual_seed(0)
        layer, x = torch.nn.Linear(channels, 64), torch.randn(1, channels)
        optimizer, _ = Optimization(adam, groups=GroupsByFanIn()).configure(layer)
        before = layer(x)
        (layer(x) - x[:, :1]).square().mean().backward()
        optimizer.step()
        changes.append((layer(x) - before).abs().mean().item())
    assert changes[1] == pytest.approx(changes[0], rel=0.1)
