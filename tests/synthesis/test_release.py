"""experiment=release from raw files to weights, as docs/recipes.md tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from flowdeblur import weights
from flowdeblur.cli import main

ROOT = Path(__file__).parents[2]


def write_frames(folder: Path, count: int, size=(144, 176)) -> None:
    """A texture that moves by two pixels a frame."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).random((size[0], size[1] + 2 * count, 3))
    texture = gaussian_filter(noise, (2, 2, 0))
    texture = np.uint8(255 * (texture - texture.min()) / np.ptp(texture))
    for number in range(count):
        frame = texture[:, 2 * number : 2 * number + size[1]]
        Image.fromarray(frame).save(folder / f"{number:02d}.png")


@pytest.mark.slow
def test_from_raw_files_to_weights(tmp_path):
    raw, data, run = tmp_path / "raw", tmp_path / "data", tmp_path / "run"
    write_frames(raw / "video" / "walk", 12)
    for clip in ("real/a", "val/b"):
        for kind in ("blur", "sharp"):
            write_frames(raw / clip / kind, 3)
    write_frames(raw / "photographs", 2)
    script = ["sh", ROOT / "sweeps" / "release_data.sh", raw, data]
    environment = {**os.environ, "FLOWDEBLUR": str(Path(sys.executable).with_name("flowdeblur"))}
    for _ in range(2):  # the second time there is nothing left to do
        subprocess.run(script, env=environment, check=True)
    scenes = [
        f"data.train.sources.{name}.{setting}"
        for name in ("scenes", "photographs")
        for setting in ("count=2", "size=[80,80]", f"cache={tmp_path / 'scenes'}")
    ]
    tiny = ["model=small", "debug=fast", "data.patch=[64,64]", "trainer.accelerator=cpu"]
    overrides = [f"data.root={data}", f"hydra.run.dir={run}", "trainer.max_steps=8", *tiny]
    status = main(["train", "experiment=release", *overrides, *(f"++{each}" for each in scenes)])
    assert status == 0
    out = tmp_path / "small.safetensors"
    assert main(["export", str(run), str(out), "--half", "--licence", "CC-BY-4.0"]) == 0
    told = weights.describe(out)
    assert told["licence"] == "CC-BY-4.0"
    data = told["training"]["data"]
    assert "REDS" in data["credits"]["real"]
    assert data["credits"].keys() == data["sources"].keys() == data["shares"].keys()
    assert str(tmp_path) not in str(told)
