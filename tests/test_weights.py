from __future__ import annotations

import json
import pickle

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
def test_a_network_comes_back_from_its_file_alone(name, tmp_path):
    network = make_model(name, width=4)
    path = tmp_path / "weights.safetensors"
    weights.save(path, network, config_of(name, width=4), licence="CC0")
    loaded = flowdeblur.load(path)
    assert isinstance(loaded, FlowGuidedDeblurring)
    assert not loaded.training
    frames = torch.rand(1, len(network.frame_offsets), 3, 40, 50)
    with torch.inference_mode():
        assert torch.equal(loaded(frames).restored, network(frames).restored)
    assert json.loads(weights.read(path)[1]["licence"]) == "CC0"


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
    with pytest.raises(UserError, match="holds no model configuration"):
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


def test_unknown_arguments_are_told(tmp_path):
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
        weights.take(other, weights.read(path)[0], path)
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
