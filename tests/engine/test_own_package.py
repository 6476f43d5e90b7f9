"""Everything that docs/architecture.md says can be added, from a package outside of this one."""

from __future__ import annotations

import json

import pytest
import torch

import flowdeblur
from flowdeblur.cli import main
from flowdeblur.errors import UserError
from flowdeblur.video.images import write_image

PACKAGE = """
import os  # reachable as my_package.os, which no weights file may call

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from flowdeblur.types import Restoration


class Mine(nn.Module):
    def __init__(self, channels=3, activation=nn.Identity):
        super().__init__()
        self.frame_offsets, self.flow_offsets, self.current_index = (-1, 0), (), 1
        self.layers = nn.Sequential(nn.Conv2d(6, channels, 3, padding=1), nn.Conv2d(channels, 3, 1))

    def forward(self, frames, *, keep_rnn_weights=False):
        return Restoration(frames[:, 1] + self.layers(frames.flatten(1, 2)))


class Waves:
    def __init__(self, count):
        self.count = count

    def open(self, frame_offsets, flow_offsets):
        self.frames = len(frame_offsets)
        return self

    @property
    def keys(self):
        return [f"waves/{index:02d}" for index in range(self.count)]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        x = torch.arange(64).expand(3, 64, 64)
        sharp = (128 + 100 * torch.sin(x / (2.0 + index))).to(torch.uint8)
        frames = (sharp // 2 + 60).expand(self.frames, 3, 64, 64)
        return {"frames": frames, "sharp": sharp, "key": self.keys[index]}


def mean_error(restored, sharp):
    return (restored - sharp).abs().mean((1, 2, 3))


def absolute(difference):
    return difference.abs()


def halving(optimizer, every):
    return LambdaLR(optimizer, lambda step: 0.5 ** (step // every))
"""

CONF = {
    "model/mine.yaml": "{_target_: my_package.Mine, channels: 4}",
    "data/waves.yaml": """
_target_: flowdeblur.data.DataModule
batch_size: 2
patch: [32, 32]
train: {_target_: my_package.Waves, count: 4}
val: {_target_: my_package.Waves, count: 2}
""",
    "metrics/mine.yaml": """
defaults: [default]
mean_error: {_target_: my_package.mean_error, _partial_: true}
""",
    "objective/mine.yaml": """
defaults: [paper]
restoration: {_target_: my_package.absolute}
sums: false
""",
    "scheduler/halving.yaml": "{_target_: my_package.halving, _partial_: true, every: 2}",
    "ablation/mine.yaml": """
# @package _global_
defaults: [{override /model: mine}]
row: {label: My network, paper: {}}
""",
}
CHOICES = [
    *("model=mine", "data=waves", "metrics=mine", "objective=mine", "scheduler=halving"),
    *("trainer.max_steps=4", "trainer.val_check_interval=2", "trainer.log_every_n_steps=1"),
    "trainer.accelerator=cpu",
]


@pytest.fixture
def conf(tmp_path, monkeypatch):
    (tmp_path / "my_package.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in CONF.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path / "conf")


def test_a_package_of_the_users_own(conf, tmp_path, capsys):
    run = tmp_path / "run"
    # The option may stand anywhere.
    command = ["train", *CHOICES[:3], "--config-dir", conf, *CHOICES[3:], f"hydra.run.dir={run}"]
    assert main(command) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["steps"] == 4
    assert 0 < metrics["test"]["mean_error"] < 1
    assert "mean_error" in (run / "frames.csv").read_text().splitlines()[0]
    rates = [
        float(row.split(",")[header.index("lr-AdamW")])
        for header, row in _rows(next(run.glob("csv/**/metrics.csv")))
        if row.split(",")[header.index("lr-AdamW")]
    ]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4])

    weights = run / "weights.safetensors"
    with pytest.raises(UserError, match=r"my_package.Mine.*--allow my_package.*allow=\['my_pack"):
        flowdeblur.load(weights)
    network = flowdeblur.load(weights, allow=["my_package"])
    assert network.frame_offsets == (-1, 0)
    frames = torch.rand(1, 2, 3, 20, 30)
    assert network(frames).restored.shape == (1, 3, 20, 30)

    evaluation = ["evaluate", f"weights={run}", "data=waves", f"hydra.run.dir={tmp_path / 'e'}"]
    capsys.readouterr()
    assert main([*evaluation, "--config-dir", conf]) == 2
    assert "--allow my_package" in capsys.readouterr().err
    assert main([*evaluation, "--allow", "my_package", "--config-dir", conf]) == 0
    assert "all_frames" in capsys.readouterr().out

    clip = tmp_path / "clip"
    clip.mkdir()
    for number in range(2):
        image = torch.full((24, 32, 3), 40 * number, dtype=torch.uint8).numpy()
        write_image(clip / f"{number}.png", image)
    deblur = ["deblur", str(clip), str(tmp_path / "out"), "--weights", str(weights)]
    assert main([*deblur, "--device", "cpu", "--allow", "my_package"]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 2

    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "{program: train.py, method: grid, parameters: {ablation: {values: [ours, mine]}}}"
    )
    assert main(["ablate", "run", str(sweep), "--dry-run", "--config-dir", conf]) == 0
    assert "ablation=mine" in capsys.readouterr().out


def _rows(path):
    header, *rows = path.read_text().splitlines()
    return [(header.split(","), row) for row in rows]


@pytest.mark.parametrize("target", ["my_package.os.system", "my_package.LambdaLR", "os.system"])
def test_an_allowed_package_allows_nothing_else(conf, tmp_path, target):
    from flowdeblur.weights import build

    config = {"_target_": "my_package.Mine", "activation": {"_target_": target, "command": "true"}}
    with pytest.raises(
        UserError, match=r"cannot import my_pack|LambdaLR is defined outside|names os.system"
    ):
        build(config, tmp_path / "x.safetensors", allow=["my_package"])


def test_a_network_that_breaks_the_contract_is_refused(conf, tmp_path):
    from flowdeblur.weights import build

    with pytest.raises(UserError, match=r"my_package.Waves: is not a torch.nn.Module"):
        build({"_target_": "my_package.Waves", "count": 1}, tmp_path, allow=["my_package"])
