"""The compiled CPU kernel against the definition in float64, and its fallback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from flowdeblur.ops import _native, spatially_variant_rnn, spatially_variant_rnn_reference

pytestmark = pytest.mark.skipif(_native.library() is None, reason="no C++ compiler")


def channels_last(*shape):
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(2, 16, 17, 23), (1, 8, 64, 9), (1, 5, 1, 7), (3, 3, 2, 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 8e-3)])
@pytest.mark.parametrize("tanh", [True, False])
def test_values_and_gradients_are_those_of_the_definition(shape, dtype, tolerance, tanh):
    torch.manual_seed(0)
    batch, channels, height, width = shape
    features = channels_last(*shape).to(dtype).requires_grad_()
    logits = 2 * channels_last(batch, 4 * channels, height, width)
    weights = (logits if tanh else logits.tanh()).to(dtype).requires_grad_()
    assert _native.handles(features, weights)
    states = spatially_variant_rnn(features, weights, tanh=tanh)
    grad = torch.randn_like(states)
    found = (states, *torch.autograd.grad(states, (features, weights), grad))
    inputs = [x.detach().double().requires_grad_() for x in (features, weights)]
    exact = spatially_variant_rnn_reference(inputs[0], inputs[1].tanh() if tanh else inputs[1])
    wanted = (exact, *torch.autograd.grad(exact, inputs, grad.double()))
    for x, y in zip(found, wanted, strict=True):
        assert (x.double() - y).abs().max() <= tolerance * y.abs().max()


def test_bits_do_not_depend_on_threads():
    torch.manual_seed(0)
    features, weights = channels_last(2, 8, 30, 40), channels_last(2, 32, 30, 40)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(spatially_variant_rnn(features, weights, tanh=True))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


def test_large_logits_and_nan():
    features = channels_last(1, 2, 3, 4)
    weights = torch.full((1, 8, 3, 4), 1e4).contiguous(memory_format=torch.channels_last)
    assert spatially_variant_rnn(features, weights, tanh=True).abs().max() == 0  # tanh is 1
    weights[0, 0, 0, 0] = torch.nan
    assert spatially_variant_rnn(features, weights, tanh=True).isnan().any()


def test_without_a_compiler_the_other_kernel_runs():
    code = (
        "import torch; from flowdeblur.ops import _native, spatially_variant_rnn as rnn\n"
        "x = torch.ones(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)\n"
        "w = torch.zeros(1, 8, 3, 4).contiguous(memory_format=torch.channels_last)\n"
        "print(_native.library(), rnn(x, w).sum().item())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env={**os.environ, "PATH": ""},
    )  # fmt: skip
    assert result.stdout.split() == ["None", "96.0"]
