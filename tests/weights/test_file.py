from __future__ import annotations

import pickle
import platform
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.composition import MODELS, compose_config, make_model, plain

import flowdeblur
from flowdeblur import weights
from flowdeblur.errors import UserError
from flowdeblur.networks import FlowGuidedDeblurring


def config_of(name: str, **changes: object) -> dict[str, object]:
    return plain(compose_config(f"model={name}"))["model"] | changes


@pytest.mark.parametrize("name", MODELS)
def test_a_network_is_rebuilt_from_its_file(name, tmp_path):
    network = make_model(name, width=4)
    path = tmp_path / "weights.safetensors"
    weights.save(path, network, config_of(name, width=4))
    loaded = flowdeblur.load(path)
    assert isinstance(loaded, FlowGuidedDeblurring)
    assert not loaded.training
    frames = torch.rand(1, len(network.frame_offsets), 3, 40, 50)
    with torch.inference_mode():
        assert torch.equal(loaded(frames).restored, network(frames).restored)


def test_a_file_says_what_it_is(tmp_path):
    path = tmp_path / "weights.safetensors"
    config = config_of("proposed", width=4)
    weights.save(path, make_model("proposed", width=4), config, licence="CC0", metrics={"psnr": 30})
    reported = weights.describe(path)
    assert reported.pop("versions") == {
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    assert reported == {
        "flowdeblur": flowdeblur.__version__,
        "config": config,
        "training": None,
        "licence": "CC0",
        "metrics": {"psnr": 30},
    }


def test_facts_can_be_added_later(tmp_path):
    path = tmp_path / "weights.safetensors"
    network = make_model("proposed", width=4)
    weights.save(path, network, config_of("proposed", width=4), metrics={"psnr": 30})
    before = weights.read(path)[0]
    weights.annotate(path, licence="MIT", training="on scenes")
    reported = weights.describe(path)
    assert (reported["licence"], reported["training"], reported["metrics"]) == (
        "MIT",
        "on scenes",
        {"psnr": 30},
    )
    assert all(torch.equal(before[name], value) for name, value in weights.read(path)[0].items())
    with pytest.raises(TypeError, match="no such fact of a weights file: config"):
        weights.annotate(path, config={})


def test_half_the_size_for_nearly_the_same_image(network, tmp_path):
    whole, half = tmp_path / "w.safetensors", tmp_path / "half.safetensors"
    weights.save(whole, network, config_of("proposed", width=4), metrics={"psnr": 1.0})
    weights.copy(whole, half, half=True, licence="MIT")
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    reported = weights.describe(half)
    assert (reported["licence"], reported["metrics"]) == ("MIT", {"psnr": 1.0})
    loaded = weights.load(half)
    assert {each.dtype for each in loaded.parameters()} == {torch.float32}
    frames = torch.rand(1, len(network.frame_offsets), 3, 64, 64)
    with torch.no_grad():
        wanted, got = network(frames).restored, loaded(frames).restored
    assert 0 < (got - wanted).abs().max() < 5e-3 * wanted.abs().max()


def test_what_float16_cannot_hold_is_refused(network, tmp_path):
    with torch.no_grad():
        network.deblurring_subnet.d_conv0.bias.fill_(1e5)
    path, half = tmp_path / "w.safetensors", tmp_path / "half.safetensors"
    weights.save(path, network, config_of("proposed", width=4))
    with pytest.raises(UserError, match=r"d_conv0\.bias has values beyond float16"):
        weights.copy(path, half, half=True)
    assert not half.exists()


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_damaged_metadata(tmp_path, text):
    path = tmp_path / "weights.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"config": text})
    with pytest.raises(UserError, match=r"safetensors: corrupt metadata \(config\)"):
        flowdeblur.load(path)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A package that comes with the weights "default"."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    config = config_of("without_rnns", width=4)
    weights.save(folder / "default.safetensors", make_model("without_rnns", width=4), config)
    monkeypatch.setattr(weights.file, "PRETRAINED", folder)
    return folder


@pytest.mark.usefixtures("shipped")
def test_weights_that_come_with_the_package():
    for network in (flowdeblur.load(), flowdeblur.load("default")):
        assert network.deblurring_subnet.d_conv1.out_channels == 4
    with pytest.raises(
        UserError, match=r"^best: no weights of this name come with .*\(these do: default\)"
    ):
        flowdeblur.load("best")


def test_a_package_without_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.file, "PRETRAINED", tmp_path)
    with pytest.raises(
        UserError, match=r"^default: .*\(none do in this version\); name a .safetensors file"
    ):
        flowdeblur.load()


def test_paths_go_before_names(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "a").mkdir(parents=True)
    assert weights.locate("runs/a") == Path("runs/a/weights.safetensors")
    assert weights.locate("default") == shipped / "default.safetensors"
    (tmp_path / "default").touch()
    assert weights.locate("default") == Path("default")
    assert weights.locate("b/default") == Path("b/default")
    assert weights.locate("best.safetensors") == Path("best.safetensors")


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none.safetensors: no such weights file"):
        flowdeblur.load(tmp_path / "none.safetensors")


def test_truncated_file(tmp_path):
    path = tmp_path / "weights.safetensors"
    weights.save(path, make_model("proposed", width=4), config_of("proposed", width=4))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        UserError, match=r"weights.safetensors: truncated, or not a safetensors file"
    ):
        flowdeblur.load(path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("pickled code was run",))


def test_pickled_code_is_refused_and_not_run(tmp_path):
    for path, content in (
        (tmp_path / "bomb.safetensors", pickle.dumps(Bomb())),
        (tmp_path / "weights.pth", b""),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a safetensors file"):
            flowdeblur.load(path)
    torch.save({"bomb": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(UserError, match="not a safetensors file"):
        flowdeblur.load(tmp_path / "bomb.pth")


def test_foreign_safetensors(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(UserError, match="contains no model configuration"):
        flowdeblur.load(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "flowdeblur.networks.os",
        "flowdeblur.networks.flow_guided.FlowGuidedDeblurring",
        "None",
    ],
)
def test_a_file_cannot_call_what_it_likes(target, tmp_path):
    path = tmp_path / "weights.safetensors"
    weights.save(path, make_model("proposed", width=4), {"_target_": target, "command": "true"})
    with pytest.raises(UserError, match="no network of this project"):
        flowdeblur.load(path)


def test_unknown_arguments_are_reported(tmp_path):
    path = tmp_path / "weights.safetensors"
    weights.save(path, make_model("proposed", width=4), config_of("proposed", depth=3))
    with pytest.raises(UserError, match=r"does not fit flowdeblur .*depth"):
        flowdeblur.load(path)


def test_weights_of_another_architecture_name_the_layer(tmp_path):
    path = tmp_path / "weights.safetensors"
    weights.save(path, make_model("proposed", width=4), config_of("proposed", width=4))
    other = make_model("without_flow", width=4)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(
        UserError, match=r"flow_subnet.conv1.weight is 4x6x7x7 in the file and 4x3x7x7 in the model"
    ):
        weights.load_into(other, weights.read(path)[0], path)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_a_failed_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    weights.save(path, make_model("proposed", width=4), config_of("proposed", width=4))
    before = path.read_bytes()
    monkeypatch.setattr(
        "os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space"):
        weights.save(path, make_model("proposed", width=8), config_of("proposed", width=8))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
