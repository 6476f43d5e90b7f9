"""Frames of other programs as rows of a table."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.composition import compose_config

from flowdeblur.cli import main
from flowdeblur.engine.configuration import plain
from flowdeblur.video.images import write_image

TABLE4 = str(Path(__file__).parents[2] / "sweeps" / "table4.yaml")
KEYS = ["a/00", "a/01", "a/02"]


@pytest.fixture
def scored(tmp_path):
    """A finished run on a folder of frames, and the PSNR of another program's frames."""
    generator, psnr = np.random.default_rng(0), []
    for key in KEYS:
        clip, frame = key.split("/")
        sharp = generator.integers(20, 200, (24, 32, 3)).astype(np.uint8)
        error = generator.integers(1, 9)
        psnr.append(20 * np.log10(255 / error))
        for path, image in (
            (f"data/val/{clip}/sharp/{frame}.png", sharp),
            (f"data/val/{clip}/blurry/{frame}.png", sharp + 20),
            (f"theirs/{clip}/{frame}.png", sharp + error),
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / path, image.astype(np.uint8))
    run = tmp_path / "runs" / "ours-seed0"
    run.mkdir(parents=True)
    data = plain(compose_config("data=frames", f"data.root={tmp_path / 'data'}", "data.workers=0"))
    config = {"seed": 0, "model": {}, "data": data["data"], "row": {"label": "Ours"}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "metrics.json").write_text(json.dumps({"steps": 1, "test": {"psnr": 30.0}}))
    lines = ["key,psnr", *(f"{key},{30 + n}" for n, key in enumerate(KEYS))]
    (run / "frames.csv").write_text("\n".join(lines) + "\n")
    return np.array(psnr)


def test_frames_of_another_program_are_a_row(scored, tmp_path, capsys):
    command = ["ablate", "table", TABLE4, "--runs", str(tmp_path / "runs"), "--format", "csv"]
    rows = ["ablation=ours", "seed=0", "--predictions", f"Theirs={tmp_path / 'theirs'}"]
    for _ in range(2):  # the second time from the stored scores
        assert main([*command, *rows]) == 0
        printed = capsys.readouterr().out
        text = printed[printed.index("row,label") :]
        (theirs,) = [row for row in csv.DictReader(io.StringIO(text)) if row["row"] == "Theirs"]
        assert float(theirs["psnr"]) == pytest.approx(scored.mean(), abs=1e-4)
        expected = (scored - [30, 31, 32]).mean()
        assert float(theirs["psnr_difference"]) == pytest.approx(expected, abs=1e-4)
    other = f"Theirs={tmp_path}"
    assert main([*command, "ablation=ours", "seed=0", "--predictions", other]) == 2
    assert "has the scores of" in capsys.readouterr().err
    assert main([*command, "ablation=ours", "seed=0", "--predictions", "ours=x"]) == 2
    assert main([*command, "ablation=ours", "seed=0", "--predictions", "nothing"]) == 2
