"""The weights that come with the package, and what docs/model_card.md says of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import flowdeblur
from flowdeblur import cli, weights
from flowdeblur.data.samples import collate
from flowdeblur.evaluation.metrics import end_point_error, psnr
from flowdeblur.networks.initialization import layers
from flowdeblur.scenes import Scenes

CARD = (Path(__file__).parents[2] / "docs" / "model_card.md").read_text()
LARGEST = {"default": 7.5e6, "small": 2e6}


@pytest.fixture(scope="module", params=LARGEST)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def held_out():
    scenes = Scenes("test", 6, still=0.0, tripod=0.0, noise=(0, 0), cache=None).open((0, 1), (1,))
    return collate([scenes[index] for index in range(6)])


def test_all_of_them_are_described():
    assert {each.stem for each in weights.PRETRAINED.glob("*.safetensors")} == LARGEST.keys()
    assert all(f"`{name}`" in CARD for name in LARGEST)


def test_a_file_is_small_and_says_where_it_comes_from(name):
    path = weights.locate(name)
    assert path.stat().st_size < LARGEST[name]
    reported = weights.describe(path)
    assert reported["licence"]
    assert reported["training"]["steps"] > 0
    data = reported["training"]["data"]
    attribution = data.get("attribution") or data["credits"]  # the word of version 0.1
    assert attribution.keys() == data["sources"].keys()
    for credit in ("REDS", "CC BY 4.0", "Unsplash", "Pexels", "CarND", "SAM 2", "gpmf-parser"):
        assert credit in str(attribution)
        assert credit in CARD
    assert not re.search(r"(^|[\s\"'])(/|~/)\w", str(reported))  # no folders of anybody's machine


def test_it_restores_frames_that_it_has_never_seen(name, held_out):
    network = flowdeblur.load(name)
    with torch.inference_mode():
        restored = network(held_out["frames"]).restored
    blurry, sharp = held_out["frames"][:, 0], held_out["sharp"]
    gains = psnr(restored, sharp) - psnr(blurry, sharp)
    assert gains.mean() > 0.5
    assert (gains > 0)[psnr(blurry, sharp) < 35].all()
    assert gains.min() > -0.2


def test_its_flow_errs_by_less_than_a_third_of_the_motion(held_out):
    """What init.flow=default starts from."""
    network = flowdeblur.load("default")
    with torch.inference_mode():
        flow = network.predict_flows(held_out["frames"])[-1]
    zero = torch.zeros_like(flow)
    error, motion = (
        end_point_error(each, held_out["flow"], held_out["visible"]).mean() for each in (flow, zero)
    )
    assert error < motion / 3


def test_no_layer_is_dead(name):
    """A layer whose weights are a hundredth of their scale in a variance-keeping start is dead."""
    network = flowdeblur.load(name)
    scales = {
        layer: module.weight.square().mean().sqrt().item() * module.weight[0].numel() ** 0.5
        for layer, module in layers(network)
    }
    dead = [layer for layer, scale in scales.items() if scale < 0.01]
    assert not dead


def test_sharp_frames_stay_sharp(name, held_out):
    sharp = held_out["sharp"]
    with torch.inference_mode():
        restored = flowdeblur.load(name)(torch.stack([sharp, sharp], 1)).restored
    assert psnr(restored, sharp).mean() > 30


@pytest.mark.slow
def test_the_card_repeats_what_evaluate_says(name, tmp_path, capsys):
    """The card's first table: PSNR of the blurry and the restored frames of the test scenes."""
    arguments = ["evaluate", f"weights={name}", f"hydra.run.dir={tmp_path}"]
    assert cli.main(arguments) == 0
    row = re.search(rf"^\| `{name}` \|.*?([\d.]+) → ([\d.]+)", CARD, re.MULTILINE)
    assert row
    printed = capsys.readouterr().out
    assert all(number in printed for number in row.groups())
