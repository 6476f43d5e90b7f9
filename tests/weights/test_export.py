from __future__ import annotations

import sys
import zipfile
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from tests.composition import MODELS, compose_config, make_model, plain
from tests.disk import room_for

from flowdeblur import cli, weights
from flowdeblur.errors import RuntimeFailureError
from flowdeblur.weights import export as exporting
from flowdeblur.weights import onnx_model, program

SHAPES = [(1, 1, 1), (1, 64, 64), (3, 65, 130), (1, 128, 192)]  # batch, height, width
HERE = str(Path(exporting.__file__).parent).encode()


def write_weights(path, name="proposed", **changes):
    """A small network whose RNN weights are far from 0, so that its recurrence shows."""
    settings: dict[str, object] = {"width": 4, "shrinkage": 60.0}  # levels: as large as its changes
    network = make_model(name, **settings)
    with torch.no_grad():
        for parameter_name, parameter in network.named_parameters():
            if ".rnnw.weight" in parameter_name:
                parameter.mul_(20)
    weights.save(path, network, plain(compose_config(f"model={name}"))["model"] | settings)
    return weights.load(path)


def compare(network, restore, tolerance, shapes=SHAPES):
    for batch, height, width in shapes:
        frames = torch.rand(batch, len(network.frame_offsets), 3, height, width)
        with torch.inference_mode():
            wanted, got = network(frames).restored, restore(frames)
        assert got.dtype == torch.float32
        assert got.shape == wanted.shape
        assert (got - wanted).abs().max() <= tolerance * wanted.abs().max()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def network(folder):
    return write_weights(folder / "weights.safetensors")


@pytest.fixture(scope="module")
def onnx_file(folder, network):
    path = folder / "out.onnx"
    assert cli.main(["export", str(folder / "weights.safetensors"), str(path)]) == 0
    return path


def test_onnx_runtime_computes_what_pytorch_computes_at_any_size(network, onnx_file):
    compare(network, onnx_model.open_restorer(onnx_file), 1e-4)


def test_the_recurrence_is_a_scan_and_not_unrolled(onnx_file):
    model = onnx.load(onnx_file)
    onnx.checker.check_model(model, full_check=True)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Scan"] == 6  # rows and columns at three scales
    assert kinds.total() < 150
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx"}  # runs anywhere
    assert not model.functions


def test_the_onnx_file_has_no_trace_of_the_machine_that_wrote_it(onnx_file):
    assert HERE not in onnx_file.read_bytes()


def test_the_onnx_file_says_what_it_wants(onnx_file):
    session = onnxruntime.InferenceSession(onnx_file)
    (frames,), (restored,) = session.get_inputs(), session.get_outputs()
    assert (frames.name, frames.shape) == ("frames", ["batch", 2, 3, "height", "width"])
    assert (restored.name, restored.shape) == ("restored", ["batch", 3, "height", "width"])
    assert frames.type == restored.type == "tensor(float)"
    reported = session.get_modelmeta().custom_metadata_map
    assert reported["frame_offsets"] == "[0, 1]"
    assert reported["licence"] == "not stated"


def test_a_program_computes_what_pytorch_computes_at_any_size(folder, network, capsys):
    path = folder / "out.pt2"
    assert cli.main(["export", str(folder / "weights.safetensors"), str(path)]) == 0
    said = capsys.readouterr().out
    assert all(f"{height} x {width}" in said for height, width in exporting.CHECKED_SIZES)
    facts = {"frame_offsets": ""}
    exported = torch.export.load(path, extra_files=facts)
    assert facts["frame_offsets"] == "[0, 1]"
    names = Counter(str(node.target) for node in exported.graph.nodes)
    assert names["flowdeblur.spatially_variant_rnn.default"] == 3
    compare(network, exported.module(), 1e-5)
    exported.module()(torch.rand(1, 2, 3, 64, 64))  # outside of inference mode, too
    with zipfile.ZipFile(path) as archive:  # has no trace of the machine that wrote it
        assert not any(HERE in archive.read(name) for name in archive.namelist())


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("suffix", exporting.FORMATS)
def test_every_model_can_be_exported(name, suffix, tmp_path):
    network = write_weights(tmp_path / "w.safetensors", name)
    path = tmp_path / f"out{suffix}"
    exporting.export(tmp_path / "w.safetensors", path)
    compare(network, exporting.FORMATS[suffix].open_restorer(path), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", exporting.FORMATS)
def test_half_precision(suffix, tmp_path):
    network = write_weights(tmp_path / "w.safetensors")
    whole, half = tmp_path / f"whole{suffix}", tmp_path / f"half{suffix}"
    exporting.export(tmp_path / "w.safetensors", whole)
    exporting.export(tmp_path / "w.safetensors", half, half=True)
    weights_in_half = sum(each.numel() for each in network.parameters()) * 2
    assert half.stat().st_size < whole.stat().st_size - 0.9 * weights_in_half
    restore = exporting.FORMATS[suffix].open_restorer(half)
    compare(network, restore, exporting.HALF_TOLERANCE, shapes=[(1, 65, 130)])


@pytest.fixture
def wrong(monkeypatch):
    """A format whose files compute something else."""

    class Wrong:
        @staticmethod
        def write(restorer, path, facts):
            path.write_text("a program")

        @staticmethod
        def open_restorer(path):
            return lambda frames: frames[:, 0] + 0.1

    monkeypatch.setitem(exporting.FORMATS, ".pt2", Wrong)
    monkeypatch.setattr(exporting, "CHECKED_SIZES", ((64, 64),))


@pytest.mark.usefixtures("wrong", "network")
def test_a_file_that_computes_something_else_is_not_written(folder, tmp_path, capsys):
    out = tmp_path / "out.pt2"
    out.write_text("earlier")
    arguments = ["export", str(folder / "weights.safetensors"), str(out), "--overwrite"]
    assert cli.main(arguments) == 1
    assert "out.pt2: not written, as it differs from PyTorch by" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["out.pt2"]
    assert out.read_text() == "earlier"


@pytest.mark.usefixtures("network")
def test_not_a_number_is_not_written(folder, tmp_path, monkeypatch, wrong):
    nan = staticmethod(lambda path: lambda frames: frames[:, 0] * float("nan"))
    monkeypatch.setattr(exporting.FORMATS[".pt2"], "open_restorer", nan)
    with pytest.raises(RuntimeFailureError, match="differs from PyTorch by nan"):
        exporting.export(folder / "weights.safetensors", tmp_path / "out.pt2")


@pytest.mark.parametrize(
    ("weights_name", "out", "message"),
    [
        ("weights.safetensors", "out.pth", "out.pth: unknown suffix; name a file with .onnx or"),
        ("weights.safetensors", "none/out.onnx", "none: no such folder; create it"),
        ("none.safetensors", "out.onnx", "none.safetensors: no such weights file"),
        ("cut.safetensors", "out.onnx", "cut.safetensors: truncated"),
        ("weights.safetensors", "weights.onnx", "weights.onnx: exists already"),
        ("weights.safetensors", "folder.onnx", "folder.onnx: is a folder"),
    ],
)
def test_mistakes_are_reported_in_one_line(
    tmp_path, monkeypatch, capsys, weights_name, out, message
):
    monkeypatch.chdir(tmp_path)
    write_weights(Path("weights.safetensors"))
    Path("cut.safetensors").write_bytes(Path("weights.safetensors").read_bytes()[:-9])
    Path("weights.onnx").write_text("mine")
    Path("folder.onnx").mkdir()
    before = sorted(tmp_path.iterdir())
    assert cli.main(["export", weights_name, out]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("library", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_library_is_named_with_its_remedy(folder, tmp_path, monkeypatch, capsys, library):
    monkeypatch.setitem(sys.modules, library, None)
    arguments = ["export", str(folder / "weights.safetensors"), str(tmp_path / "out.onnx")]
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err == (
        f"error: {library} is not installed: pip install 'flowdeblur[export]'\n"
    )
    assert list(tmp_path.iterdir()) == []


class Linear:
    """As much of an export wrapper as ``program.write`` needs."""

    def trace(self):
        return torch.export.export(torch.nn.Linear(200, 200), (torch.rand(2, 200),))


def test_a_program_on_a_full_disk_is_an_error_and_no_abort(tmp_path):
    with room_for(10_000), pytest.raises(OSError, match="File too large"):
        program.write(Linear(), tmp_path / "a.pt2", {})
    program.write(Linear(), tmp_path / "a.pt2", {})
    assert program.open_restorer(tmp_path / "a.pt2")(torch.rand(2, 200)).shape == (2, 200)
