"""The CUDA kernels: on a GPU where there is one, else in Triton's interpreter.

The interpreter is chosen when Triton is imported, so that its tests need a process of their own:
``test_kernels_in_the_interpreter`` runs this file again with TRITON_INTERPRET=1.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from tests.ops.oracle import TOLERANCE, assert_matches_oracle, error, make_inputs, oracle

from flowdeblur.ops import spatially_variant_rnn
from flowdeblur.ops._tiles import Table

triton = pytest.importorskip("triton")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
LAYOUTS = [torch.contiguous_format, torch.channels_last]
ON_KERNELS = [
    pytest.mark.skipif(
        not (INTERPRETED or torch.cuda.is_available()), reason="the interpreter runs them"
    )
] + ([] if INTERPRETED else [pytest.mark.gpu])


def kernels(test):
    """Mark a test that runs the kernels, on either device."""
    for mark in ON_KERNELS:
        test = mark(test)
    return test


def gpu(test):
    """Mark a test whose sizes are beyond the interpreter."""
    skip = pytest.mark.skipif(
        INTERPRETED or not torch.cuda.is_available(), reason="needs a CUDA device"
    )
    return pytest.mark.gpu(skip(test))


@pytest.mark.skipif(INTERPRETED, reason="this is the interpreter")
@pytest.mark.skipif(
    triton.__version__.startswith("3.6.") and np.lib.NumpyVersion(np.__version__) >= "2.4.0",
    reason="loops in the interpreter of Triton 3.6 need NumPy below 2.4",
)
def test_kernels_in_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(autouse=True)
def kernels_on_the_cpu(monkeypatch):
    """Let CPU tensors run through the interpreted kernels."""
    if INTERPRETED:
        from flowdeblur.ops import _cuda

        operator = sys.modules["flowdeblur.ops.spatially_variant_rnn"]
        monkeypatch.setattr(operator, "_cpu", _cuda)


def check(*shape, dtype=torch.float32, layout=torch.contiguous_format, weight=None, tanh=False):
    inputs = make_inputs(*shape, dtype=dtype, weight=weight, device=DEVICE)
    inputs = [x.contiguous(memory_format=layout) for x in inputs]
    # The interpreter cuts bfloat16 off where a GPU rounds: twice the error.
    slack = 2 if INTERPRETED and dtype == torch.bfloat16 else 1
    assert_matches_oracle(spatially_variant_rnn, *inputs, tanh=tanh, slack=slack)


@kernels
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("dtype", "tanh"),
    [
        (torch.float32, False),
        (torch.float32, True),
        (torch.float64, True),
        (torch.bfloat16, False),
        (torch.float16, True),
    ],
)
def test_values_and_gradients(dtype, tanh, layout):
    check(2, 2, 3, 36, dtype=dtype, tanh=tanh, layout=layout)


@kernels
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "weight"), [((1, 1, 2, 131), 0.999), ((1, 1, 2, 131), 1.0), ((1, 1, 37, 3), 0.999)]
)
def test_states_carried_over_several_blocks(shape, layout, weight):
    """Rows over the 32 elements of a scan at odd widths, columns over the 16 steps of a block."""
    check(*shape, layout=layout, weight=weight)


@kernels
@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        *itertools.product([(1, 1, 1, 1), (3, 5, 1, 6), (3, 5, 6, 1)], LAYOUTS),
        ((1, 70, 2, 3), torch.channels_last),  # channels beyond the lanes of a program
    ],
)
def test_thin_maps_share_programs_and_many_channels_do_not(shape, layout):
    check(*shape, layout=layout)


@kernels
def test_weights_of_minus_one():
    features, weights, grad = make_inputs(1, 1, 18, 40, device=DEVICE)
    inputs = features, weights.fill_(-1), grad
    assert_matches_oracle(spatially_variant_rnn, *inputs, tanh=False)


@kernels
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_every_byte_is_written_and_inputs_stay(monkeypatch, dtype, layout):
    inputs = make_inputs(1, 3, 5, 7, dtype=dtype, device=DEVICE)
    features, weights, grad = (x.contiguous(memory_format=layout) for x in inputs)
    before = [x.clone() for x in (features, weights, grad)]
    expected = oracle(features, weights, grad, tanh=False)
    allocate = torch.empty_like
    monkeypatch.setattr(
        torch, "empty_like", lambda *args, **kwargs: allocate(*args, **kwargs).fill_(torch.nan)
    )
    f, w = features.requires_grad_(), weights.requires_grad_()
    states = spatially_variant_rnn(f, w)
    grads = torch.autograd.grad(states, (f, w), grad)
    for actual, truth in zip((states, *grads), expected, strict=True):
        assert actual.is_contiguous(memory_format=layout)
        assert error(actual, truth) <= 2 * TOLERANCE[dtype]  # 105 numbers
    for actual, original in zip((features, weights, grad), before, strict=True):
        assert torch.equal(actual, original)


@kernels
def test_other_strides_are_read_right():
    features, weights, grad = make_inputs(1, 2, 6, 10, device=DEVICE)
    inputs = features.mT.contiguous().mT, weights.flip(3), grad.permute(1, 0, 2, 3).clone()
    inputs = inputs[0][..., 1::2], inputs[1][..., ::2], inputs[2].permute(1, 0, 2, 3)[..., ::2]
    assert_matches_oracle(spatially_variant_rnn, *inputs, tanh=False)


@gpu
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "shape",
    [(4, 24, 128, 128), (4, 96, 32, 32), (1, 24, 360, 640), (1, 24, 640, 270), (1, 7, 63, 37)],
)
def test_sizes_of_training_and_video(shape, dtype, layout):
    check(*shape, dtype=dtype, layout=layout, tanh=True)
    check(*shape, dtype=dtype, layout=layout, weight=0.999)


@gpu
@pytest.mark.parametrize("warps", [1, 2, 4])
def test_any_number_of_warps(monkeypatch, warps):
    """Scans from the end were miscompiled before (triton issues 4362 and 8412)."""
    from flowdeblur.ops import _cuda

    tiles = {each.name: replace(getattr(Table(), each.name), warps=warps) for each in fields(Table)}
    monkeypatch.setattr(_cuda, "table", lambda: Table(**tiles))
    check(2, 24, 65, 300, weight=0.99)


@gpu
@pytest.mark.parametrize("layout", LAYOUTS)
def test_repeated_calls_give_the_same_bits(layout):
    inputs = make_inputs(2, 24, 180, 320, dtype=torch.bfloat16, device=DEVICE)
    features, weights, grad = (x.contiguous(memory_format=layout) for x in inputs)
    f, w = features.requires_grad_(), weights.requires_grad_()

    def run():
        states = spatially_variant_rnn(f, w, tanh=True)
        return (states, *torch.autograd.grad(states, (f, w), grad))

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)


@gpu
def test_both_devices_agree_on_types_and_strides():
    for layout in LAYOUTS:
        features, weights, _ = make_inputs(2, 3, 5, 6)
        weights = weights.contiguous(memory_format=layout)
        here = spatially_variant_rnn(features, weights)
        there = spatially_variant_rnn(features.cuda(), weights.cuda())
        assert (here.dtype, here.stride()) == (there.dtype, there.stride())
        with pytest.raises(ValueError, match="one device"):
            spatially_variant_rnn(features, weights.cuda())
