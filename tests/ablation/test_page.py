"""The table as an HTML page and in W&B."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re

import numpy as np
import pytest
import scipy.stats
import wandb
from PIL import Image
from tests.ablation.conftest import ROOT, frame_scores

from flowdeblur.ablation.page import to_html
from flowdeblur.ablation.table import to_csv
from flowdeblur.cli import main


def test_csv(make):
    rows = {row["row"]: row for row in csv.DictReader(io.StringIO(to_csv(make())))}
    assert float(rows["ours"]["psnr"]) == pytest.approx(
        np.mean([frame_scores("ours", seed)[1].mean() for seed in (0, 1)]), rel=1e-12
    )
    assert rows["ours"]["psnr_difference"] == ""
    assert float(rows["without_rnns"]["psnr_difference_high"]) < -1
    assert rows["without_rnns"]["psnr_same_frame"] == ""


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.addresses, self.open, self.images = [], [], []
        self.feed(text)
        assert self.open == ["html"]

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for key, value in attributes if key in ("src", "href")]
        if tag == "img":
            self.images.append(dict(attributes))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if tag != "html":
            assert self.open.pop() == tag


def test_the_page_needs_nothing_but_itself(make):
    text = to_html(make())
    page = Page(text.replace("</html>", ""))
    assert page.images
    assert all(each.startswith("data:image/png;base64,") for each in page.addresses)
    assert not re.search(r"https?:|url\(['\"]?[^#]|@import", text)
    assert "<script" not in text
    expected = scipy.stats.spearmanr([30.58, 30.11, 28.84], [2, 1.5, 0.5]).statistic
    assert f"is {expected:.2f} [1.00, 1.00] over 3 rows" in text


def test_crops_show_where_the_blur_is_from_every_row(make):
    import base64

    page = Page(to_html(make()).replace("</html>", ""))
    crops = {}
    for image in page.images:
        file = io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))
        crops.setdefault(image["alt"], []).append(np.asarray(Image.open(file)))
    assert [each.shape for each in crops["restored"]] == [(96, 96, 3)] * 3
    for pixels, value in zip(crops["restored"], (30, 20, 10), strict=True):
        inside = (pixels == (value, 0, 0)).all(axis=2)
        assert inside.sum() == 40 * 40
    assert len(crops["predicted flow"]) == len(crops["true flow"]) == 1


def test_motion_of_frames_is_known_from_the_rows_that_know_flow(make):
    text = to_html(make())
    assert "mean motion (px a frame)" in text
    assert "40 frames in 4 equal parts" in text
    assert "2.2 to 4.7" in text  # 12 - n / 4 runs from 2.25 to 12


def test_where_no_row_knows_flow_motion_is_taken_from_the_blur(make):
    text = to_html(make(without=["ours-seed0", "ours-seed1"], reference="without_rnns"))
    assert "PSNR of the blurry frame (dB)" in text


def test_the_command_makes_a_table_of_wandb(make, tmp_path, monkeypatch):
    make()
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # it reads the environment once
    command = ["ablate", "table", str(ROOT / "sweeps" / "table4.yaml"), "--runs", str(tmp_path)]
    rows = ["ablation=ours,without_flow,without_rnns", "seed=0,1"]
    assert main([*command, "--wandb", "flowdeblur", "--format", "csv", *rows]) == 0
    (path,) = tmp_path.rglob("media/table/*.table.json")
    content = json.loads(path.read_text())
    tabled = {row[0]: dict(zip(content["columns"], row, strict=True)) for row in content["data"]}
    assert tabled.keys() == {"ours", "without_flow", "without_rnns"}
    mean = np.mean([frame_scores("ours", seed)[1].mean() for seed in (0, 1)])
    assert tabled["ours"]["psnr"] == pytest.approx(mean)
    assert tabled["without_flow"]["psnr_same_frame"] is None
