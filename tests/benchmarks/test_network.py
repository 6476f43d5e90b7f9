from __future__ import annotations

import json

import pytest
import torch
from tests.composition import make_model

from flowdeblur.benchmarks.network import measure
from flowdeblur.cli import main


def test_arithmetic_is_the_papers():
    row = measure("proposed", make_model("proposed"), (64, 64), torch.device("cpu"), 1)
    assert row.parameters == 8_281_696
    # 191 GFLOP for a 768x1280 pair, the operator left out, which adds 3 for each of its results.
    states = sum(
        4 * channels * (64 // scale) ** 2 for channels, scale in ((24, 2), (48, 4), (96, 8))
    )
    convolutions = row.gflop * 1e9 - 3 * states
    assert convolutions * (768 / 64) * (1280 / 64) / 1e9 == pytest.approx(191, abs=1)
    assert row.milliseconds > 0
    assert row.milliseconds_copying > 0


def test_a_model_without_rnns_has_no_ratio():
    row = measure(
        "without_rnns", make_model("without_rnns", width=4), (64, 64), torch.device("cpu"), 1
    )
    assert row.milliseconds_copying is None


def test_the_command_prints_and_writes_a_table(tmp_path, capsys):
    out = tmp_path / "results" / "network"
    status = main(
        ["benchmark", "network", "--models", "without_rnns", "--size", "64", "64",
         "--repetitions", "1", "--device", "cpu", "--out", str(out)]
    )  # fmt: skip
    assert status == 0
    printed = capsys.readouterr().out
    assert "| without_rnns | 725,280 |" in printed
    assert "torch" in out.with_suffix(".md").read_text()
    (row,) = json.loads(out.with_suffix(".json").read_text())["rows"]
    assert row["parameters"] == 725_280


def test_an_unknown_model(capsys):
    assert main(["benchmark", "network", "--models", "propsed"]) == 2
    assert "--models propsed: no such model; did you mean proposed?" in capsys.readouterr().err
