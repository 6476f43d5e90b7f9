"""Empty and wrong inputs of the operator, autocast, and its example."""

from __future__ import annotations

import doctest

import pytest
import torch
from tests.ops.oracle import make_inputs
from tests.ops.test_spatially_variant_rnn import IMPLEMENTATIONS

from flowdeblur.ops import spatially_variant_rnn


@IMPLEMENTATIONS
@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_nothing_in_nothing_out(operator, shape):
    features, weights, _ = make_inputs(*shape)
    features.requires_grad_()
    states = operator(features, weights)
    assert states.shape == weights.shape
    states.sum().backward()
    assert features.grad.shape == features.shape


@pytest.mark.parametrize(
    ("features", "weights", "message"),
    [
        (torch.zeros(3, 4, 5), torch.zeros(12, 4, 5), r"\(B, C, H, W\).*\(3, 4, 5\)"),
        (torch.zeros(1, 2, 4, 5), torch.zeros(1, 6, 4, 5), r"\(1, 8, 4, 5\).*\(1, 6, 4, 5\)"),
        (torch.zeros(1, 2, 4, 5), torch.zeros(1, 8, 5, 4), r"\(1, 8, 4, 5\).*\(1, 8, 5, 4\)"),
        (torch.zeros(1, 2, 4, 5), torch.zeros(1, 8, 4, 5).half(), "one type.*float32.*float16"),
        (torch.zeros(1, 1, 2, 2).int(), torch.zeros(1, 4, 2, 2).int(), "one type.*int32"),
        (torch.zeros(1, 1, 2, 2), torch.zeros(1, 4, 2, 2, device="meta"), "device.*cpu.*meta"),
    ],
)
def test_wrong_inputs_are_named(features, weights, message):
    with pytest.raises(ValueError, match=message):
        spatially_variant_rnn(features, weights)


def test_autocast_casts_nothing():
    features, weights, _ = make_inputs(1, 1, 4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        states = spatially_variant_rnn(features, weights, tanh=True)
    assert states.dtype == torch.float32
    assert torch.equal(states, spatially_variant_rnn(features, weights, tanh=True))


def test_the_example_in_the_docstring():
    examples = doctest.DocTestFinder().find(
        spatially_variant_rnn,
        "example",
        globs={"torch": torch, "spatially_variant_rnn": spatially_variant_rnn},
    )
    assert [doctest.DocTestRunner().run(example) for example in examples] == [(0, 3)]
