"""The CUDA kernels as compiled code, on machines without a GPU.

Triton compiles them for a GPU that is not there. The PTX interpreter runs the result, and the
machine code shows what it needs. Not covered: ptxas, the hardware, and its approximations of 2^x
and 1 / x.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from tests.ops.oracle import assert_matches_oracle, make_inputs

from flowdeblur.ops import spatially_variant_rnn
from flowdeblur.ops._tiles import Table

pytest.importorskip("triton")
from benchmarks.absent_gpu import compile_passes
from benchmarks.compile_operator import resources
from tests.ops.ptx.launch import interpreted
from triton.backends.compiler import GPUTarget

CONTIGUOUS, CHANNELS_LAST = torch.contiguous_format, torch.channels_last
FLOAT, BFLOAT, HALF = torch.float32, torch.bfloat16, torch.float16
# Kernels that must not need shared memory, for maps whose rows fill a warp.
IN_ONE_WARP = ("forward_contiguous", "backward_columns", "backward_rows", "forward_channels_last")


def check(*shape, dtype=FLOAT, layout=CONTIGUOUS, capability=90):
    """Compare values and gradients; return the compiled kernels."""
    inputs = [x.contiguous(memory_format=layout) for x in make_inputs(*shape, dtype=dtype)]
    with interpreted(capability) as kernels:
        assert_matches_oracle(spatially_variant_rnn, *inputs, tanh=True)
    return kernels


def names(kernels):
    return [kernel.metadata.name for kernel in kernels]


def assert_lean(kernels):
    """No registers are spilled, and row programs move 128 bits at a time within a warp."""
    for kernel in kernels:
        use = resources(kernel)
        assert use.spilled == 0
        if kernel.metadata.name in IN_ONE_WARP:
            assert use.shared == 0
        if kernel.metadata.name in ("forward_contiguous", "backward_rows"):
            assert (use.load_bits, use.store_bits) == (128, 128)


@pytest.fixture
def many_lines(monkeypatch):
    """Let small maps take the tiles of large ones."""
    from flowdeblur.ops import _cuda

    table = replace(Table(), forward_few_lines=Table().forward)
    monkeypatch.setattr(_cuda, "table", lambda: table)


def test_strips_and_rows_of_training(many_lines):
    kernels = check(1, 2, 36, 128, dtype=BFLOAT)
    assert names(kernels) == ["forward_contiguous", "backward_strips", "backward_rows"]
    assert_lean(kernels)


def test_a_frame_with_tall_columns():
    kernels = check(1, 1, 130, 320, capability=80)
    assert names(kernels) == ["forward_contiguous", "backward_columns", "backward_rows"]
    assert_lean(kernels)


def test_a_whole_plane():
    kernels = check(1, 2, 61, 64)
    assert names(kernels) == ["forward_contiguous", "backward_strips"]
    assert_lean(kernels)


def test_weights_of_one_in_both_senses():
    features, weights, grad = make_inputs(1, 2, 61, 64)
    with interpreted():
        logits = 20 * weights.sign()  # float32 tanh is 1 there
        assert_matches_oracle(spatially_variant_rnn, features, logits, grad, tanh=True)


def test_odd_rows():
    kernels = check(1, 1, 3, 131, dtype=HALF)
    assert names(kernels) == ["forward_contiguous", "backward_strips", "backward_rows"]


def test_channels_last():
    kernels = check(1, 20, 7, 17, layout=CHANNELS_LAST, dtype=BFLOAT, capability=80)
    assert_lean(kernels)


@pytest.mark.parametrize(("width", "dtype"), [(1, FLOAT), (6, BFLOAT)])
def test_narrow_planes(width, dtype):
    kernels = check(2, 3, 9, width, dtype=dtype)
    assert names(kernels) == ["forward_contiguous", "backward_strips"]
    assert all(resources(kernel).spilled == 0 for kernel in kernels)


def test_unaligned_bases():
    features, weights, _ = (
        torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape) for x in make_inputs(1, 2, 3, 64)
    )
    assert features.data_ptr() % 16 == 4
    with interpreted():
        states = spatially_variant_rnn(features, weights, tanh=True)
    torch.testing.assert_close(states, spatially_variant_rnn(features, weights, tanh=True))


@pytest.mark.slow
@pytest.mark.parametrize("capability", [75, 80, 90])
@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT, HALF, torch.float64])
@pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST])
@pytest.mark.parametrize(
    "shape", [(1, 2, 33, 128), (1, 2, 9, 131), (1, 1, 130, 270), (1, 2, 64, 64), (1, 1, 3, 260)]
)
def test_every_layout_type_and_architecture(shape, layout, dtype, capability):
    check(*shape, layout=layout, dtype=dtype, capability=capability)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.6.0", "3.8.0", "newest"])
def test_other_versions_of_triton(version, tmp_path):
    """The fast tests of this file, with another version of Triton in a folder of its own."""
    requirement = "triton" if version == "newest" else f"triton=={version}"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path)]
    installed = subprocess.run([*pip, requirement], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"no package index: {installed.stderr.splitlines()[-1]}")
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "lanes"), [("gfx942", 64), ("gfx1100", 32)])
@pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST])
def test_they_compile_for_amd(architecture, lanes, layout):
    target = GPUTarget("hip", architecture, lanes)
    for shape in [(1, 2, 36, 128), (1, 1, 130, 320), (1, 2, 61, 64)]:
        for dtype in (FLOAT, BFLOAT):
            assert all("hsaco" in each.asm for each in compile_passes(shape, dtype, layout, target))
