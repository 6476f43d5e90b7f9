"""Scores of a clip without sharp frames: table, page, files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from tests.cli.conftest import make_weights

from flowdeblur.cli import main
from flowdeblur.evaluation.niqe import NIQE
from flowdeblur.video.images import read_image, write_image


@pytest.fixture
def clips(tmp_path):
    """Two clips of three frames; the second one has more blur."""
    for clip, sigma in (("few", 0.5), ("much", 3.0)):
        folder = tmp_path / clip
        folder.mkdir()
        noise = np.random.default_rng(5).normal(size=(104, 128, 3))
        still = gaussian_filter(noise, (1, 1, 0))
        image = gaussian_filter(still, (sigma, sigma, 0))
        image = (image - image.min()) / np.ptp(image) * 255
        for frame in range(3):
            write_image(folder / f"{frame:03d}.png", np.roll(image, frame, 1).astype(np.uint8))
    return tmp_path


@pytest.fixture
def weights_file(tmp_path):
    return make_weights(tmp_path / "weights.safetensors")


def test_clips_are_scored_and_the_one_with_more_blur_comes_first(clips, weights_file, capsys):
    out = clips / "page"
    status = main(
        ["evaluate", "--no-reference", str(clips / "few"), str(clips / "much"), "--device", "cpu",
         "--weights", str(weights_file), "--out", str(out), "--show", "1", "--frames", "2"]
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert status == 0
    assert printed.index("much, mean of 2 frames") < printed.index("few, mean of 2 frames")
    scores = json.loads((out / "metrics.json").read_text())["clips"]
    assert list(scores) == ["much", "few"]
    much, few = (scores[clip]["scores"] for clip in scores)
    assert much["blur_px"]["input"] > few["blur_px"]["input"]
    assert much["sharpness"]["input"] < few["sharpness"]["input"]
    assert few["gain_db"]["input"] is None
    assert few["gain_db"]["restored"] is not None

    with (out / "frames.csv").open() as file:
        lines = list(csv.DictReader(file))
    first = torch.from_numpy(read_image(clips / "much" / "000.png")).permute(2, 0, 1)[None] / 255
    assert float(lines[0]["niqe_input"]) == pytest.approx(NIQE()(first).item(), abs=1e-3)
    assert [line["flicker_input"] == "" for line in lines] == [True, False, True, False]

    page = (out / "index.html").read_text()
    assert page.count("<svg") == 2 * 5
    assert page.count('<div class="compare"') == 2
    assert page.index("of much") < page.index("of few")
    assert "http" not in page.replace("http-equiv", "")


def test_mistakes_are_named(clips, weights_file, capsys):
    command = ["evaluate", "--no-reference", str(clips / "few"), "--weights", str(weights_file)]
    assert main([*command, "--out", str(clips / "much")]) == 2
    assert "exists already; name another folder or pass --overwrite" in capsys.readouterr().err
    assert main([*command, "--out", str(clips / "page"), "--niqe", str(weights_file)]) == 2
    assert "has no parameters of NIQE" in capsys.readouterr().err
    assert not (clips / "page").exists()
    assert main(["evaluate", "--no-reference", "absent.mp4", "--out", str(clips / "page")]) == 2
    assert "absent.mp4: no such file" in capsys.readouterr().err
