"""Fixtures of several files."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tests.composition import compose_config, make_model
from tests.video.clips import Pick, make_clip, make_image

from flowdeblur import cli, weights
from flowdeblur.cli import main
from flowdeblur.engine.configuration import plain
from flowdeblur.video.images import write_image

CLIPS = {"a": (4, (48, 72)), "b": (3, (64, 40))}


def random_image(seed, size):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3))
    return coarse.repeat(8, 0).repeat(8, 1).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    for clip, (count, size) in CLIPS.items():
        for frame in range(count):
            sharp = random_image(100 * (clip == "b") + frame, size)
            blurry = (sharp.astype(int) + np.roll(sharp, 3, axis=1)) // 2
            for kind, image in (("blurry", blurry.astype(np.uint8)), ("sharp", sharp)):
                path = tmp_path / "data" / "val" / clip / kind / f"{frame:05d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, image)
    return tmp_path / "data"


def make_weights(path, name="proposed", width=2):
    network = make_model(name, width=width)
    weights.save(
        path, network, plain(compose_config(f"model={name}", f"model.width={width}"))["model"]
    )
    return path


@pytest.fixture
def evaluate(root, tmp_path, capsys):
    def run(*overrides, folder="out"):
        out = tmp_path / folder
        status = main(
            ["evaluate", "data=frames", f"data.root={root}", "data.workers=0", "device=cpu",
             f"hydra.run.dir={out}", *overrides]
        )  # fmt: skip
        printed = capsys.readouterr()
        return status, out, printed.out, printed.err

    return run


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command with a stand-in network; returns status, last line of stdout, and stderr."""

    def run_with(*arguments, network=None, weights="weights.safetensors"):
        loader = SimpleNamespace(load=lambda path, allow: network or Pick((0, 1), 1))
        monkeypatch.setitem(sys.modules, "flowdeblur.weights", loader)
        named = ["--weights", weights] if weights else []
        status = cli.main(["deblur", *map(str, arguments), *named])
        printed = capsys.readouterr()
        return status, printed.out.strip(), printed.err.strip()

    return run_with


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "in.mp4", sound="aac")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "frames"
    path.mkdir()
    for index in range(3):
        write_image(path / f"{index + 9}.tif", make_image(index))
    return path
