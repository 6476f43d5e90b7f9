from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.composition import compose_config, plain
from tests.weights import caffe as released

import flowdeblur
from flowdeblur import weights
from flowdeblur.cli import main
from flowdeblur.errors import UserError
from flowdeblur.weights import caffe


@pytest.fixture(scope="module")
def blobs():
    blobs = released.random_blobs(seed=1)
    blobs["deconv1"][1].zero_()  # the file leaves it out
    return blobs


@pytest.fixture(scope="module")
def model(blobs, tmp_path_factory):
    """A file with the released layers, one without bias, and blobs that nothing reads."""
    path = tmp_path_factory.mktemp("caffe") / "released.caffemodel"
    unused = {f"rnn_{n}": [torch.full((3, 3), float("nan"))] for n in range(12)}
    path.write_bytes(released.encode({**unused, **blobs, "deconv1": blobs["deconv1"][:1]}))
    return path


@pytest.fixture(scope="module")
def imported(model):
    """What the command makes of the file, loaded as any other weights are."""
    out = model.with_suffix(".safetensors")
    assert main(["import-caffe", str(model), str(out)]) == 0
    return flowdeblur.load(out)


def relative(got, wanted):
    return ((got - wanted).abs().max() / wanted.abs().max()).item()


def test_the_imported_network_computes_what_caffe_computes(blobs, imported):
    generator = torch.Generator().manual_seed(2)
    first, second = torch.rand(2, 1, 3, 64, 128, generator=generator)
    restored, flow = released.execute(blobs, first, second)
    with torch.inference_mode():
        ours = imported(torch.stack((first, second), dim=1))
    assert relative(ours.restored, restored) < 1e-4
    assert relative(ours.flows[-1], flow) < 1e-4


def test_other_sizes_are_padded_with_zeros_at_the_right_and_bottom(blobs, imported):
    frames = torch.rand(1, 2, 3, 50, 40, generator=torch.Generator().manual_seed(3))
    padded = F.pad(frames, (0, 64 - 40, 0, 64 - 50))
    restored, _ = released.execute(blobs, padded[:, 0], padded[:, 1])
    with torch.inference_mode():
        ours = imported(frames).restored
    assert relative(ours, restored[..., :50, :40]) < 1e-4


def test_the_imported_network_is_the_proposed_one_with_zero_padding():
    proposed = plain(compose_config("model=proposed"))["model"]
    assert proposed | {"padding": "constant"} == caffe.CONFIG


def test_the_file_says_where_it_comes_from(imported, model):
    reported = weights.describe(model.with_suffix(".safetensors"))
    assert reported["training"] == "by the paper's authors; imported from released.caffemodel"
    assert reported["licence"] == "not stated by the authors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv4": []}, r"no weights of the layer conv4; this is not the released model"),
        (
            {"conv4": [torch.zeros(192, 96, 5, 5)]},
            r"the layer conv4 has a blob of 192x96x5x5 \(460800 values\) where the released model "
            r"has 192x96x3x3",
        ),
        ({"conv2": [torch.zeros(48, 24, 5, 5), torch.zeros(24)]}, r"conv2 has a blob of 24 "),
        (
            {"conv2": [torch.full((48, 24, 5, 5), float("inf"))]},
            r"conv2 holds values that are no numbers",
        ),
    ],
)
def test_another_model_is_refused_and_the_layer_named(blobs, tmp_path, change, message):
    path = tmp_path / "other.caffemodel"
    first = {name: blobs[name] for name in ("conv1", "conv2", "conv3", "conv3_1")}
    path.write_bytes(released.encode(first | change))
    with pytest.raises(UserError, match=rf"other.caffemodel: .*{message}"):
        caffe.import_model(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.caffemodel", None, "no such file"),
        ("a.caffemodel", b"", "truncated, or no Caffe model"),
        ("a.caffemodel", b"name: 'net'\nlayer {}\n", "truncated, or no Caffe model"),
        ("a.caffemodel", b"\x0a\x03net", "holds no layers"),
    ],
)
def test_a_file_that_is_no_model(tmp_path, capsys, name, content, message):
    path, out = tmp_path / name, tmp_path / "out.safetensors"
    if content is not None:
        path.write_bytes(content)
    assert main(["import-caffe", str(path), str(out)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {path}: ")
    assert message in printed
    assert not out.exists()


def test_what_out_may_be(model, tmp_path, capsys):
    taken = tmp_path / "taken.safetensors"
    taken.write_bytes(b"mine")
    for out, message in (
        (tmp_path / "out.pth", "unknown suffix; name a file with .safetensors"),
        (tmp_path / "none" / "out.safetensors", "no such folder"),
        (taken, "exists already; name another OUT or pass --overwrite"),
    ):
        assert main(["import-caffe", str(model), str(out)]) == 2
        assert message in capsys.readouterr().err
    assert taken.read_bytes() == b"mine"
    assert main(["import-caffe", str(model), str(taken), "--overwrite"]) == 0
    assert flowdeblur.load(taken).padding == "constant"


def test_a_full_disk_is_reported_in_one_line(model, tmp_path, capsys, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    out = tmp_path / "out.safetensors"
    assert main(["import-caffe", str(model), str(out)]) == 1
    assert capsys.readouterr().err == (
        f"error: {out}: cannot be written (No space left on device); nothing was changed\n"
    )
    assert list(tmp_path.iterdir()) == []
