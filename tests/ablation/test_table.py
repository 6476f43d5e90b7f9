"""Tables and the page, from run folders written by hand."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import wandb
import yaml
from PIL import Image

from flowdeblur.ablation.jobs import Job
from flowdeblur.ablation.page import to_html
from flowdeblur.ablation.results import collect
from flowdeblur.ablation.sweep import Point
from flowdeblur.ablation.table import Table, to_csv, to_latex, to_markdown
from flowdeblur.cli import main
from flowdeblur.engine.configuration import config_dir
from flowdeblur.errors import UserError

ROOT = Path(__file__).parents[2]
CONF = config_dir()
COUNT = 40
GAINS = {"ours": 2.0, "without_flow": 1.5, "without_rnns": 0.5}


@pytest.fixture
def make(tmp_path):
    """Three rows, two seeds each; those in `without` are missing."""

    def table(without=(), reference=None, **changes):
        jobs = []
        for row in ("without_rnns", "without_flow", "ours"):
            for seed in (0, 1):
                name = f"{row}-seed{seed}"
                point = Point(row, name, {"ablation": row, "seed": seed}, ())
                jobs.append(Job(point, tmp_path / name))
                if name not in without and not (tmp_path / name).exists():
                    write_run(tmp_path / name, row, seed, **changes.get(name, {}))
        return Table("Table IV", collect(jobs, CONF / "ablation"), reference)

    return table


def frame_scores(row, seed):
    generator = np.random.default_rng([seed, len(row)])
    blurry = np.linspace(24, 36, COUNT)
    return blurry, blurry + GAINS[row] + generator.normal(0, 0.3, COUNT)


def write_run(folder, name, seed, steps=600, **changes):
    (folder / "images" / "test").mkdir(parents=True)
    blurry, psnr = frame_scores(name, seed)
    flow = name == "ours"
    lines = [["key", "psnr", "psnr_blurry", *(["motion_px", "psnr_same_frame"] * flow)]]
    for n in range(COUNT):
        motion = [12 - n / 4, psnr[n] - 0.5] if flow else []
        lines.append([f"clip/{n}", psnr[n], blurry[n], *motion])
    with (folder / "frames.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    test = {"psnr": psnr.mean(), "ssim": 0.9 + GAINS[name] / 100}
    test |= {"psnr_blurry": blurry.mean(), "ssim_blurry": 0.85}
    if flow:
        test["psnr_same_frame"] = psnr.mean() - 0.5
    metrics = {
        "steps": steps,
        "seconds": 120.0,
        "parameters": 8_281_696,
        "test": test,
        "history": [
            {"step": step, "val/psnr": 20 + step / 100 + seed, "val/psnr_blurry": 25.0}
            for step in (300, 600)
        ],
        "cost": {"size": [160, 160], "gflop": 5.25, "milliseconds": 30.5, "device": "a CPU"},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    source = {"_target_": "flowdeblur.scenes.Scenes", "size": [160, 160], "split": "test"}
    data = {"batch_size": 4, "patch": [128, 128], "test": source}
    about = (CONF / "ablation" / f"{name}.yaml").read_text()
    config = {"seed": seed, "model": name, "data": data, "row": yaml.safe_load(about)["row"]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config | changes))
    picture = np.full((120, 160, 3), 100, np.uint8)
    damaged = picture.copy()
    damaged[20:60, 100:140] = 0  # where the crop has to be
    restored = picture.copy()
    restored[20:60, 100:140] = (10 * (list(GAINS).index(name) + 1), 0, 0)
    shown = {"blurry": damaged, "sharp": picture, "restored": restored}
    if flow:
        shown |= {"predicted_flow": picture, "true_flow": picture}
    for what, pixels in shown.items():
        Image.fromarray(pixels).save(folder / "images" / "test" / f"0_{what}.png")


def cells(markdown):
    lines = [line[1:-1] for line in markdown.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}


def test_numbers(make):
    table = make()
    found = cells(to_markdown(table))
    scores = {row: [frame_scores(row, seed)[1] for seed in (0, 1)] for row in GAINS}
    for row, label in (
        ("ours", "Ours"),
        ("without_flow", "w/o flow"),
        ("without_rnns", "w/o RNNs"),
    ):
        means = [each.mean() for each in scores[row]]
        text = found[label]["PSNR (dB)"].strip("*")
        assert text == f"{np.mean(means):.2f} ± {np.std(means, ddof=1):.2f}"
    assert found["Ours"]["PSNR, paper (dB)"] == "**30.58**"
    assert found["w/o RNNs"]["SSIM, paper"] == "0.901"
    assert found["Ours"]["PSNR (dB)"].startswith("**")
    assert found["w/o flow"]["PSNR (dB)"][0] != "*"
    assert found["Ours"]["parameters"] == "8,281,696"
    assert found["Ours"]["same frame twice (dB)"].endswith("(\N{MINUS SIGN}0.50)")
    assert found["w/o RNNs"]["same frame twice (dB)"] == "\N{EN DASH}"
    assert found["Ours"]["training (min)"] == "2.0"


def test_differences_are_paired_by_frame(make):
    table = make()
    scores = {row: np.mean([frame_scores(row, seed)[1] for seed in (0, 1)], 0) for row in GAINS}
    paired = scores["without_flow"] - scores["ours"]
    mean, low, high = table.differences["without_flow"]
    expected = scipy.stats.bootstrap(
        (paired,), np.mean, method="percentile", n_resamples=10_000, rng=5
    ).confidence_interval
    assert mean == pytest.approx(paired.mean())
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)
    # Frames differ by 12 dB among each other; unpaired, the interval would be wide.
    assert high - low < 0.3
    assert "ours" not in table.differences


def test_label_and_published_numbers_are_those_of_the_run(make):
    """A row of a user's own, which the package does not know."""
    row = {"label": "Mine", "paper": {"psnr": 12.5, "ssim": 0.5}}
    table = make(**{f"ours-seed{seed}": {"row": row} for seed in (0, 1)})
    assert cells(to_markdown(table))["Mine"]["PSNR, paper (dB)"] == "12.50"


def test_runs_of_one_configuration_are_refused_as_two_rows(make):
    with pytest.raises(UserError, match=r"ours-seed1 are runs of the same configuration"):
        make(**{"ours-seed1": {"model": "without_flow"}})


def test_another_reference(make):
    assert set(make(reference="without_rnns").differences) == {"ours", "without_flow"}
    with pytest.raises(UserError, match="--reference theirs: no such row; without_rnns"):
        make(reference="theirs", without=[f"{row}-seed{s}" for row in GAINS for s in (0, 1)])


@pytest.mark.parametrize("reference", [None, "ours"])
def test_nothing_to_tabulate(reference):
    with pytest.raises(UserError, match=r"Widths: no run yet, .* `flowdeblur ablate run SWEEP`"):
        Table("Widths", [], reference)


def test_what_is_missing_is_shown_as_missing(make, tmp_path):
    table = make(without=["ours-seed0", "ours-seed1", "without_flow-seed1"])
    found = cells(to_markdown(table))
    assert found["Ours"]["PSNR (dB)"] == "missing"
    assert found["w/o flow"]["PSNR (dB)"].count("±") == 0
    assert "difference to Ours (dB)" not in found["Ours"]
    assert "1 to 2 seeds" in to_markdown(table)
    (tmp_path / "ours-seed0").mkdir()
    (tmp_path / "ours-seed0" / "console.log").write_text("error: no\nexit status 1\n")
    again = make(without=[f"{row}-seed{seed}" for row in GAINS for seed in (0, 1)])
    assert cells(to_markdown(again))["Ours"]["PSNR (dB)"] == "missing (failed)"
    assert "<h1>" in to_html(again)


def test_a_small_or_unequal_budget_is_told(make):
    caption = " ".join(make().caption())
    assert "600 steps of 4 patches of 128x128 pixels; 2 seeds" in caption
    assert f"1/{800_000 * 20 * 256**2 / (600 * 4 * 128**2):,.0f} of its pixels" in caption
    assert "CAUTION" not in caption


def test_unequal_budgets_are_told(make):
    caption = " ".join(make(**{"ours-seed0": {"steps": 900}}).caption())
    assert "CAUTION: the budgets of the rows differ" in caption


def test_latex(make):
    text = to_latex(make())
    assert text.count(r"\\") == 4
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    columns = re.search(r"begin\{tabular\}\{(l?r*)\}", text)
    assert columns is not None
    for line in body.strip().splitlines():
        assert line.count(" & ") == len(columns[1]) - 1
    assert r"\textbf{" in body
    assert r"$\pm$" in body
    # Nothing is left that TeX would stumble over.
    assert not re.search(r"(?<!\\)[%_#]|[^\x00-\x7f]", text)


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
    assert f"is {expected:.2f} over 3 rows" in text


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


def test_where_no_row_knows_flow_the_blur_tells_of_motion(make):
    text = to_html(make(without=["ours-seed0", "ours-seed1"], reference="without_rnns"))
    assert "PSNR of the blurry frame (dB)" in text


def test_a_damaged_run_is_named(make, tmp_path):
    make()
    (tmp_path / "ours-seed0" / "frames.csv").write_text("key,psnr\nclip/0,many\n")
    point = Point("ours", "ours-seed0", {"ablation": "ours"}, ())
    with pytest.raises(UserError, match=r"ours-seed0: its config.yaml or frames.csv"):
        collect([Job(point, tmp_path / "ours-seed0")], CONF / "ablation")


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
