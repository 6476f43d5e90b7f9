from __future__ import annotations

import json
import re

import pytest
import torch
from tests.composition import make_model

from flowdeblur.benchmarks import table3
from flowdeblur.benchmarks.network import Row, measure
from flowdeblur.benchmarks.published import PUBLISHED
from flowdeblur.cli import main
from flowdeblur.networks import OVD

CPU = torch.device("cpu")


def test_arithmetic_is_the_papers():
    (row,) = measure({"proposed": make_model("proposed")}, (64, 64), CPU, 1)
    assert row.parameters == 8_281_696
    # 191 GFLOP for a 768x1280 pair, the operator left out, which adds 3 for each of its results.
    states = sum(
        4 * channels * (64 // scale) ** 2 for channels, scale in ((24, 2), (48, 4), (96, 8))
    )
    convolutions = row.gflop * 1e9 - 3 * states
    assert convolutions * (768 / 64) * (1280 / 64) / 1e9 == pytest.approx(191, abs=1)
    assert row.milliseconds["float32"] > 0
    assert row.milliseconds_copying > 0


def test_networks_and_types_take_turns():
    turns = []
    networks = {"a": make_model("without_rnns", width=4), "b": OVD(width=4)}
    rows = measure(
        networks, (16, 16), CPU, 2, dtypes=("float32", "bfloat16"), progress=turns.append
    )
    order = [turn.split(":")[0] for turn in turns[4:]]
    assert order == [
        f"{repetition}/2 {name} {dtype}"
        for repetition in (1, 2)
        for name in "ab"
        for dtype in ("float32", "bfloat16")
    ]
    assert [row.milliseconds_copying for row in rows] == [None, None]
    assert [row.streaming for row in rows] == [False, True]
    assert rows[1].milliseconds.keys() == {"float32", "bfloat16"}


def test_a_stream_is_one_step():
    (row,) = measure({"ovd": OVD()}, (8, 16), CPU, 0)
    # 461 GFLOP at 1280x720, as counted from the layer table.
    assert row.gflop * (720 / 8) * (1280 / 16) == pytest.approx(461, abs=1)
    assert row.milliseconds["float32"] > 0  # that of the first run


def row(name, milliseconds, mib, parameters=1000, **options):
    both = ("float32", "bfloat16")
    return Row(
        name,
        parameters,
        12.34,
        dict(zip(both, milliseconds, strict=True)),
        dict(zip(both, mib, strict=True)),
        options.get("copying"),
        options.get("streaming", False),
    )


ROWS = [
    row("proposed", (100, 50), (200, 100), copying=80.0),
    row("nafnet_two_frames", (350, 120), (100, 100), 17_112_771),
    row("ovd", (60, 40), (300, 200), streaming=True),
    row("mine", (10, 10), (1, 1)),
]


def test_the_table_has_the_papers_numbers_and_the_ratios():
    table = table3.to_markdown(ROWS, (720, 1280), "a machine")
    assert table.startswith("Networks, one frame of 1280x720. a machine.")
    assert "| ours | 1,000 | 12.3 | 100 | 50 | 200 | 100 | 1.250 | 0.2 | 30.58 |" in table
    assert "| NAFNet-32, two frames | 17,112,771 | 12.3 | 350 | 120 | 100 | 100 |  |  |  |" in table
    assert "3.50 in float32, 2.40 in bfloat16 times the time of ours; 0.50 in float32" in table
    assert "after the ports, stream | 1,000" in table
    assert "| mine | 1,000 |" in table


def test_other_formats():
    lines = table3.to_csv(ROWS).splitlines()
    assert lines[0].startswith("network,parameters,GFLOP,ms float32,ms bfloat16")
    assert len(lines) == 1 + len(ROWS)
    latex = table3.to_latex(ROWS)
    assert latex.count(r"\\") == 1 + len(ROWS)
    assert r"\begin{tabular}{lrrrrrrrrr}" in latex
    svg = table3.to_svg(ROWS, "a machine")
    words = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    labels = [each for each in words if each in ("ours", "NAFNet-32, two frames", "mine")]
    assert labels == ["ours"]  # the others have no score in the paper
    assert any(each.startswith("Kim et al. (OVD)") for each in words)


def test_published_numbers_are_those_of_the_tables():
    numbers = {name: (each.seconds, each.psnr) for name, each in PUBLISHED.items()}
    assert numbers["proposed"] == (0.20, 30.58)
    assert numbers["dbn"] == (6.8, 30.05)
    assert numbers["nafnet"] == (None, None)


def test_the_command_prints_and_writes_a_table(tmp_path, capsys):
    out = tmp_path / "results" / "network"
    status = main(
        ["benchmark", "network", "--models", "without_rnns", "--size", "64", "64",
         "--repetitions", "1", "--device", "cpu", "--note", "Idle", "--processor-time",
         "--out", str(out)]
    )  # fmt: skip
    assert status == 0
    printed = capsys.readouterr().out
    assert "| without_rnns | 725,280 |" in printed
    text = out.with_suffix(".md").read_text()
    assert "torch" in text
    assert "Idle. Medians of 1 repetition, networks and types in turn; processor time" in text
    assert "1 thread;" in text
    (written,) = json.loads(out.with_suffix(".json").read_text())["rows"]
    assert written["parameters"] == 725_280
    assert {each.suffix for each in out.parent.iterdir()} == {
        ".md",
        ".json",
        ".csv",
        ".tex",
        ".svg",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "propsed"], "model=propsed: no such option; did you mean proposed?"),
        (["--models", "small", "--dtypes", "bfloat16"], "--dtypes: float32 is missing"),
    ],
)
def test_mistakes(arguments, message, capsys):
    assert main(["benchmark", "network", *arguments]) == 2
    assert message in capsys.readouterr().err
