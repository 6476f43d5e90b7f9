from __future__ import annotations

import onnx
import onnxruntime
import pytest
import torch
from tests.weights.test_export import write_weights
from torch import nn

from benchmarks import runtimes
from flowdeblur import cli, weights
from flowdeblur.ops import spatially_variant_rnn, spatially_variant_rnn_reference
from flowdeblur.types import Restoration
from flowdeblur.weights import doubling, onnx_model
from flowdeblur.weights.export import HALF_TOLERANCE
from flowdeblur.weights.restorer import PlanesRestorer

REACH = 64
SIZES = [(5, 7), (1, 1), (1, 9), (64, 3), (3, 64)]


class Sweep(nn.Module):
    """The sum of the four directions of an RNN over two frames, with weights of both signs."""

    frame_offsets, flow_offsets, current_index = (0, 1), (), 0

    def __init__(self, operator=spatially_variant_rnn):
        super().__init__()
        self.logits = nn.Conv2d(3, 12, 1)
        self.operator = operator
        nn.init.normal_(self.logits.weight, std=3, generator=torch.Generator().manual_seed(0))

    def forward(self, frames, *, keep_rnn_weights=False):
        states = self.operator(frames[:, 0], self.logits(frames[:, 1] - 0.5), tanh=True)
        return Restoration(sum(states.chunk(4, dim=1)))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A network, and its file with lines of up to 64 pixels."""
    network, path = Sweep(), tmp_path_factory.mktemp("doubling") / "sweep.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doubling, "REACH", REACH)
        onnx_model.write(PlanesRestorer(network), path, {}, recurrence="doubling")
    reference = Sweep(spatially_variant_rnn_reference).double()
    reference.load_state_dict(network.state_dict())
    return path, PlanesRestorer(reference)


@pytest.mark.parametrize("runtime", [runtimes.onnxruntime, runtimes.opencv])
def test_doubling_is_the_recurrence(sweep, runtime):
    path, reference = sweep
    for size in SIZES:
        planes = torch.rand(1, 6, *size)
        run = runtime(path, planes.shape)
        wanted = reference.network(planes.double().unflatten(1, (2, 3))).restored
        got = torch.from_numpy(run(planes.numpy()))
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=1e-5)


def test_the_graph_has_the_layout_of_plug_ins_and_no_scan(sweep):
    path, _ = sweep
    session = onnxruntime.InferenceSession(path)
    (planes,), (restored,) = session.get_inputs(), session.get_outputs()
    assert (planes.name, planes.shape) == ("input", [1, 6, "height", "width"])
    assert (restored.name, restored.shape) == ("output", [1, 3, "height", "width"])
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    known = {"Add", "Concat", "Conv", "Mul", "Pad", "Reshape", "Slice", "Split", "Sub", "Tanh"}
    assert {node.op_type for node in model.graph.node} <= known | {"Gather", "Identity", "Shape"}
    assert b".py" not in path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True])
def test_every_runtime_computes_what_pytorch_computes(tmp_path, half):
    pytest.importorskip("openvino")
    pytest.importorskip("ncnn")
    write_weights(tmp_path / "w.safetensors")
    path = tmp_path / "w.onnx"
    options = ["--layout", "planes", "--recurrence", "doubling", *["--half"] * half]
    assert cli.main(["export", str(tmp_path / "w.safetensors"), str(path), *options]) == 0
    reference = runtimes.pytorch(weights.load(tmp_path / "w.safetensors"))
    for size in ((64, 128), (65, 131)):
        planes = torch.rand(1, 6, *size).numpy()
        for runtime in runtimes.RUNTIMES[: 3 if half else 4]:  # pnnx makes float16 itself
            off = runtimes.difference(runtime(path, planes.shape)(planes), reference(planes))
            assert off <= (HALF_TOLERANCE if half else 1e-4), (runtime, size)


@pytest.mark.parametrize(
    ("out", "option", "message"),
    [
        ("a.pt2", ["--recurrence", "doubling"], "--recurrence: is for .onnx files, not a.pt2"),
        ("a.safetensors", ["--layout", "planes"], "--layout: is for .onnx and .pt2 files"),
    ],
)
def test_options_of_other_formats_are_refused(tmp_path, capsys, out, option, message):
    assert cli.main(["export", "small", str(tmp_path / out), *option]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
