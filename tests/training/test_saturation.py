from __future__ import annotations

import math

import pytest
import torch

from flowdeblur.training.objectives import Objective, squared
from flowdeblur.training.saturation import Saturation
from flowdeblur.types import Restoration


def test_the_excess_of_each_logit_counts_squared():
    torch.manual_seed(0)
    levels = [1.5 * torch.randn(2, 4, size, size) for size in (2, 3)]
    term = Saturation(limit=0.8, weight=2.0)([torch.tanh(each) for each in levels])
    free = math.atanh(0.8)
    for frame, found in enumerate(term.tolist()):
        means = []
        for logits in levels:
            values = logits[frame].double().flatten().tolist()
            means.append(sum(max(abs(z) - free, 0) ** 2 for z in values) / len(values))
        assert found == pytest.approx(2 * sum(means), rel=1e-3)


@pytest.mark.parametrize("logit", [2.0, -4.0, 7.0])
def test_its_gradient_does_not_vanish_with_that_of_the_tanh(logit):
    logits = torch.full((1, 4, 1, 1), logit, requires_grad=True)
    Saturation(limit=0.9)([torch.tanh(logits)]).sum().backward()
    expected = 2 * (abs(logit) - math.atanh(0.9)) * math.copysign(1, logit) / 4
    assert logits.grad.flatten().tolist() == pytest.approx([expected] * 4, rel=0.05)


def test_weights_of_one_and_free_weights_have_finite_gradients():
    weights = torch.tensor([1.0, -1.0, 0.0, 0.9]).view(1, 4, 1, 1).requires_grad_()
    Saturation(limit=0.9)([weights]).sum().backward()
    assert torch.isfinite(weights.grad).all()
    assert weights.grad.flatten().tolist()[2:] == [0, 0]


def test_an_objective_uses_it_for_networks_with_rnns():
    sharp = torch.full((1, 3, 8, 8), 0.5)
    batch = {"sharp": sharp, "frames": sharp[:, None], "key": ["a/0"]}
    objective = Objective(restoration=squared, saturation=Saturation(0.5))
    weights = torch.full((1, 4, 4, 4), 0.9)
    terms = objective(Restoration(sharp, rnn_weights=(weights,)), batch, (0,), ())
    assert terms["saturation"].item() == pytest.approx((math.atanh(0.9) - math.atanh(0.5)) ** 2)
    assert "saturation" not in objective(Restoration(sharp), batch, (0,), ())
