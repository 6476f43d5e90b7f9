"""Tables and the page, from run folders written by hand."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import scipy.stats
from tests.ablation.conftest import GAINS, frame_scores

from flowdeblur.ablation.formats import to_latex, to_markdown
from flowdeblur.ablation.page import to_html
from flowdeblur.ablation.results import add_published
from flowdeblur.ablation.table import AblationTable, to_csv
from flowdeblur.errors import UserError

EVERY_COLUMN = [
    *("paper_psnr", "paper_ssim", "psnr", "ssim", "gain", "paper_difference", "difference"),
    *("same_frame", "parameters", "gflop", "milliseconds", "steps", "minutes"),
]


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
    assert not [heading for heading in found["Ours"] if heading.startswith("epe")]


def test_gain_over_the_blurry_input_and_difference_to_the_paper(make):
    worse = {f"without_rnns-seed{seed}": {"scores": {"psnr": 29.25}} for seed in (0, 1)}
    table = make(**worse)
    row = cells(to_markdown(table))["w/o RNNs"]  # blurry: 24 to 36 dB, mean 30; paper: 28.84
    assert row["gain over the blurry input (dB)"] == "\N{MINUS SIGN}0.75"
    assert row["PSNR less the paper's (dB)"] == "+0.41"
    (line,) = [
        each for each in csv.DictReader(io.StringIO(to_csv(table))) if "RNN" in each["label"]
    ]
    assert float(line["psnr_gain"]) == pytest.approx(-0.75)


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
    with pytest.raises(UserError, match=r"Widths: no runs found; .* `flowdeblur ablate run SWEEP`"):
        AblationTable("Widths", [], reference)


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


def test_a_small_or_unequal_budget_is_reported(make):
    caption = " ".join(make().notes())
    assert "600 steps of 4 patches of 128x128 pixels; 2 seeds" in caption
    assert f"1/{800_000 * 20 * 256**2 / (600 * 4 * 128**2):,.0f} of its pixels" in caption
    assert "CAUTION" not in caption


def test_unequal_budgets_are_reported(make):
    caption = " ".join(make(**{"ours-seed0": {"steps": 900}}).notes())
    assert "CAUTION: the budgets of the rows differ" in caption


def test_equal_training_time_is_explained(make):
    steps = {"without_rnns": 900, "without_flow": 300, "ours": 300}
    timed = {
        f"{row}-seed{seed}": {"steps": count, "budget_minutes": 10.0}
        for row, count in steps.items()
        for seed in (0, 1)
    }
    caption = " ".join(make(**timed).notes())
    assert "Budget: 10 minutes of 4 patches of 128x128 pixels; 2 seeds" in caption
    assert "equal training time and unequal steps" in caption
    shares = [f"1/{800_000 * 20 * 256**2 / (n * 4 * 128**2):,.0f}" for n in (900, 300)]
    assert f"{' to '.join(shares)} of its pixels" in caption
    assert "CAUTION" not in caption


def test_latex(make):
    text = to_latex(make(), "table4")
    assert text.count(r"\\") == 4
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    columns = re.search(r"begin\{tabular\}\{(l?r*)\}", text)
    assert columns is not None
    for line in body.strip().splitlines():
        assert line.count(" & ") == len(columns[1]) - 1
    assert r"\textbf{" in body
    assert r"$\pm$" in body
    assert r"\label{tab:table4}" in text
    # No character is left that TeX would misread.
    _, _, code = text.partition("\n")  # the comment with the packages
    assert not re.search(r"(?<!\\)[%_#]|[^\x00-\x7f]", code)


@pytest.mark.parametrize("columns", [None, EVERY_COLUMN], ids=["default", "all"])
def test_latex_compiles_within_the_width_of_the_text(columns, make, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex")
    row = {"label": r"A_b & c % # ~ ^ $x$ {y} <z> [1] \Z"}
    changes = {f"without_flow-seed{seed}": {"row": row} for seed in (0, 1)}
    text = to_latex(make(columns=columns, **changes), "table4")
    packages = "".join(rf"\usepackage{{{each}}}" for each in ("booktabs", "graphicx"))
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{text}\end{{document}}"
    (tmp_path / "table.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "table.pdf").exists()


def test_chosen_columns(make):
    found = cells(to_markdown(make(columns=["psnr", "steps"])))
    assert list(found["Ours"]) == ["", "PSNR (dB)", "steps"]
    assert found["Ours"]["steps"] == "600"
    with pytest.raises(UserError, match=r"--columns psnt: no such column; paper_psnr, "):
        make(columns=["psnt"], without=[f"{row}-seed{s}" for row in GAINS for s in (0, 1)])


def test_other_metrics_have_columns(make):
    scores = {"vif": 0.25, "vif_blurry": 0.125, "rnn_weight_extreme": 0.5}
    table = make(**{f"ours-seed{seed}": {"scores": scores} for seed in (0, 1)})
    found = cells(to_markdown(table))["Ours"]
    assert found["vif"] == "0.2500 ± 0.0000"
    assert not {"vif_blurry", "rnn_weight_extreme", "loss"} & found.keys()
    rows = {row["row"]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}
    assert (rows["ours"]["vif"], rows["without_rnns"]["vif"]) == ("0.25", "")


def test_the_order_is_compared_with_the_published_one(make):
    """Of rows a dB apart, no resampling of the frames changes the order."""
    agreement = make().agreement()
    assert agreement.correlation == pytest.approx(1)
    assert agreement.interval == pytest.approx((1, 1))
    assert "Spearman's rank correlation with the published PSNR is 1.00 [1.00, 1.00]" in (
        agreement.sentence
    )


@pytest.mark.parametrize("file", ["metrics.json", "config.yaml", "frames.csv"])
@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "key,psnr\nclip/0,many\n", '{"steps": 600, "test": 5}',
     '{"steps": 1e999, "test": {}}', '{"steps": true}', "[" * 9999, "a: &a [1]\nb: *a"],
)  # fmt: skip
def test_a_damaged_run_is_marked_and_the_others_are_shown(file, content, make, tmp_path):
    make()
    (tmp_path / "ours-seed0" / file).write_text(content)
    (tmp_path / "without_flow-seed0" / file).write_text(content)
    (tmp_path / "without_flow-seed1" / file).write_text(content)
    missing = [f"{row}-seed{seed}" for row in GAINS for seed in (0, 1)]  # written already
    table = make(without=missing)
    found = cells(to_markdown(table))
    assert found["Ours"]["PSNR (dB)"].strip("*").endswith("(1 damaged)")
    assert found["w/o flow"]["PSNR (dB)"] == "missing (damaged)"
    assert re.fullmatch(r"\d\d\.\d\d ± \d\.\d\d", found["w/o RNNs"]["PSNR (dB)"])
    assert sum(note.startswith("Left out: ") for note in table.notes()) == 3
    assert all("\n" not in note for note in table.notes())
    to_csv(table)


def test_rows_that_are_only_published(make, tmp_path):
    (tmp_path / "published.yaml").write_text(
        "theirs: {label: Their method, psnr: 25.29, ssim: 0.832}\n"
        "ours: {psnr: 30.58, parameters: 8.7e6}\n"
        "unknown: {label: Neither published nor in the sweep}\n"
    )
    rows = add_published(make().rows, tmp_path / "published.yaml")
    table = AblationTable("Table II", rows)
    found = cells(to_markdown(table))
    assert list(found) == ["Their method", "Ours", "w/o RNNs", "w/o flow"]
    assert found["Their method"]["PSNR, paper (dB)"] == "25.29"
    assert found["Their method"]["PSNR (dB)"] == "\N{EN DASH}"
    assert found["Ours"]["parameters, paper"] == "8,700,000"
    assert "<h1>" in to_html(table)
    (tmp_path / "published.yaml").write_text("theirs: 25.29")
    with pytest.raises(UserError, match=r"--published .*published.yaml: .*; write ROW"):
        add_published(rows, tmp_path / "published.yaml")


def test_lower_scores_are_best_where_the_run_says_so(make, tmp_path):
    make()
    for row, value in (("ours", 0.5), ("without_flow", 0.25), ("without_rnns", 0.75)):
        for seed in (0, 1):
            path = tmp_path / f"{row}-seed{seed}" / "metrics.json"
            content = json.loads(path.read_text())
            content["test"] |= {"tof": value, "vif": value}
            path.write_text(json.dumps(content | {"lower_is_better": ["tof"]}))
    columns = {column.key: column for column in make().columns()}
    rows = [row.name for row in make().rows]
    assert columns["tof"].heading == "tof (lower is better)"
    assert columns["vif"].heading == "vif"
    assert {rows[place] for place in columns["tof"].best} == {"without_flow"}
    assert {rows[place] for place in columns["vif"].best} == {"without_rnns"}


def test_frames_may_lack_a_score(make, tmp_path):
    make()
    path = tmp_path / "ours-seed0" / "frames.csv"
    head, first, *rest = path.read_text().splitlines()
    lines = [f"{head},tof", f"{first},", *(f"{line},0.5" for line in rest)]
    path.write_text("\n".join(lines) + "\n")
    result = next(row for row in make().rows if row.name == "ours").results[0]
    assert "tof" not in result.frames["clip/0"]
    assert result.frames["clip/1"]["tof"] == 0.5
