"""What PyTorch's tools need of an operator: fakes, compile, export, FLOPs, transforms."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import torch
from tests.ops.oracle import make_inputs
from torch.utils.flop_counter import FlopCounterMode

import flowdeblur.ops.flops  # noqa: F401  registers the formulas
from flowdeblur.ops import spatially_variant_rnn


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "permuted"])
def test_opcheck(layout):
    features, weights, grad = make_inputs(2, 3, 5, 6)
    if layout == "channels_last":
        features, weights, grad = (
            x.contiguous(memory_format=torch.channels_last) for x in (features, weights, grad)
        )
    elif layout == "permuted":
        features, weights, grad = (
            x.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)
            for x in (features, weights, grad)
        )
    states = spatially_variant_rnn(features, weights, tanh=True)
    ops = torch.ops.flowdeblur
    for op, inputs in [
        (ops.spatially_variant_rnn.default, (features, weights, True)),
        (ops.spatially_variant_rnn_backward.default, (features, weights, states, grad, True)),
    ]:
        torch.library.opcheck(op, inputs)


@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",
        pytest.param(
            "inductor", marks=pytest.mark.skipif(not shutil.which("g++"), reason="no compiler")
        ),
    ],
)
def test_compiles_whole_with_dynamic_sizes(backend):
    def model(features, weights):
        return 2 * spatially_variant_rnn(features + 1, weights, tanh=True)

    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=backend)
    for height, width in [(4, 5), (9, 17)]:
        features, weights, grad = make_inputs(2, 3, height, width)
        inputs = features.requires_grad_(), weights.requires_grad_()
        expected = torch.autograd.grad(model(*inputs), inputs, grad)
        actual = torch.autograd.grad(compiled(*inputs), inputs, grad)
        torch.testing.assert_close(actual, expected)


def test_exports_as_one_node_with_any_height_and_width():
    class Model(torch.nn.Module):
        def forward(self, features, weights):
            return spatially_variant_rnn(features, weights, tanh=True)

    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.export.export(
        Model(), make_inputs(1, 2, 8, 9)[:2], dynamic_shapes={"features": sides, "weights": sides}
    )
    calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert calls == [torch.ops.flowdeblur.spatially_variant_rnn.default]
    features, weights, _ = make_inputs(1, 2, 5, 17)
    assert torch.equal(
        program.module()(features, weights), spatially_variant_rnn(features, weights, tanh=True)
    )


def test_flops_per_element_of_the_result():
    features, weights, _ = make_inputs(2, 3, 5, 6)
    with FlopCounterMode(display=False) as counter:
        spatially_variant_rnn(features, weights.requires_grad_()).sum().backward()
    counts = {str(op): count for op, count in counter.get_flop_counts()["Global"].items()}
    assert counts == {
        "flowdeblur.spatially_variant_rnn": 3 * weights.numel(),
        "flowdeblur.spatially_variant_rnn_backward": 8 * weights.numel(),
    }


def test_meta_tensors_have_only_shapes():
    features, weights, _ = make_inputs(2, 3, 5, 6, device="meta")
    assert spatially_variant_rnn(features, weights).shape == weights.shape


def test_functional_gradients_work_and_vmap_is_refused():
    features, weights, _ = make_inputs(2, 3, 5, 6)
    grad = torch.func.grad(lambda f: spatially_variant_rnn(f, weights).sum())(features)
    inputs = features.requires_grad_()
    spatially_variant_rnn(inputs, weights).sum().backward()
    assert torch.equal(grad, inputs.grad)
    with pytest.raises(RuntimeError, match="fold the dimension"):
        torch.func.vmap(spatially_variant_rnn)(features[None], weights[None])


def test_no_import_of_triton_until_a_gpu_asks():
    code = (
        "import torch, sys; from flowdeblur.ops import spatially_variant_rnn as rnn;"
        "f = torch.ones(1, 1, 2, 2, requires_grad=True);"
        "rnn(f, torch.zeros(1, 4, 2, 2)).sum().backward();"
        "print('triton' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_a_missing_triton_is_an_error_with_its_remedy():
    code = (
        "import sys; sys.modules['triton'] = None;"
        "from flowdeblur.ops.spatially_variant_rnn import _cuda_kernels; _cuda_kernels()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    message = done.stderr.splitlines()[-1]
    assert message.startswith("flowdeblur.errors.UserError: ")
    assert "pip install triton" in message
