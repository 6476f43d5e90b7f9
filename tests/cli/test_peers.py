"""Weights of published networks in the commands that restore and score."""

from __future__ import annotations

import re

import pytest
import torch
from tests.cli.conftest import make_weights, random_image

from flowdeblur import weights
from flowdeblur.cli import main
from flowdeblur.networks import NAFNet
from flowdeblur.video.images import read_image, write_image


@pytest.fixture
def nafnet(tmp_path):
    """Weights of a small NAFNet, imported from a checkpoint; its global means matter."""
    torch.manual_seed(0)
    options = {"encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)}
    network = NAFNet(width=4, **options)
    for name, value in network.named_parameters():
        if name.endswith(("beta", "gamma")):
            torch.nn.init.constant_(value, 0.5)
    torch.save({"params": network.state_dict()}, tmp_path / "published.pth")
    path = tmp_path / "nafnet.safetensors"
    assert main(["import", str(tmp_path / "published.pth"), str(path)]) == 0
    return path


def test_tiles_of_global_means_are_measured(nafnet, tmp_path, capsys):
    clip = tmp_path / "clip"
    clip.mkdir()
    write_image(clip / "00.png", random_image(0, (128, 256)))
    command = ["deblur", str(clip), str(tmp_path / "out"), "--weights", str(nafnet)]
    exact = ["--device", "cpu", "--dtype", "float32"]
    assert main([*command, *exact, "--tile", "192", "--verify"]) == 0
    reported = re.search(
        r"tiles of 192 against the whole frame: PSNR (\S+) dB", capsys.readouterr().out
    )
    assert 60 < float(reported[1]) < 100  # the paper's network, whose strips are exact: more


def test_imported_weights_are_evaluated(nafnet, evaluate, root):
    status, out, _, error = evaluate(f"weights={nafnet}", "save_frames=true")
    assert (status, error) == (0, "")
    blurry = read_image(root / "val" / "a" / "blurry" / "00001.png")
    frames = torch.from_numpy(blurry).permute(2, 0, 1)[None, None] / 255
    with torch.inference_mode():
        restored = weights.load(nafnet).eval()(frames).restored[0].permute(1, 2, 0)
    saved = torch.from_numpy(read_image(out / "frames" / "a" / "00001.png")) / 255
    assert (saved - restored.clamp(0, 1)).abs().max() < 0.6 / 255


@pytest.mark.parametrize(
    ("name", "part"), [("svrnn", "RNN weights = 0"), ("dbn", "neighbours = current frame")]
)
def test_lesions_are_measured(name, part, root, tmp_path, capsys):
    path = make_weights(tmp_path / "weights.safetensors", name, 4)
    data = ["data=frames", f"data.root={root}", "data.workers=0", "split=val", "max_frames=2"]
    folder = f"hydra.run.dir={tmp_path / 'out'}"
    assert main(["lesion", str(path), *data, "device=cpu", folder]) == 0
    assert f"| {part} |" in capsys.readouterr().out


def test_a_network_without_parts_is_refused_in_one_line(root, tmp_path, capsys):
    path = make_weights(tmp_path / "weights.safetensors", "srn", 4)
    data = ["data=frames", f"data.root={root}", f"hydra.run.dir={tmp_path / 'out'}"]
    assert main(["lesion", str(path), *data, "device=cpu"]) == 2
    printed = capsys.readouterr().err
    assert (
        printed == f"error: {path}: this network has no part to switch off; see networks.lesions\n"
    )
