from __future__ import annotations

import json
from functools import partial
from xml.etree import ElementTree

import pytest
import torch
from tests.ops.oracle import make_inputs

from flowdeblur.benchmarks import operator
from flowdeblur.benchmarks.operator_providers import (
    Provider,
    associative_scan,
    four_directions,
    step_loop,
)
from flowdeblur.errors import UserError
from flowdeblur.ops import spatially_variant_rnn_reference


@pytest.mark.parametrize(
    "line",
    [step_loop, partial(associative_scan, mode="generic")],
    ids=["step loop", "associative scan"],
)
def test_what_is_compared_computes_the_same(line):
    features, weights, _ = make_inputs(2, 3, 5, 7, dtype=torch.float64)
    actual = four_directions(line)(features, weights)
    torch.testing.assert_close(actual, spatially_variant_rnn_reference(features, weights))


def test_a_table_and_the_numbers_behind_it(tmp_path, capsys):
    out = tmp_path / "results" / "here"
    arguments = ["--shapes", "1x2x8x16", "--dtypes", "float32", "--repetitions", "3"]
    assert operator.main([*arguments, "--device", "cpu", "--out", str(out)]) == 0
    table = out.with_suffix(".md").read_text()
    assert table in capsys.readouterr().out
    assert torch.__version__ in table.splitlines()[0]
    content = json.loads(out.with_suffix(".json").read_text())
    assert {(row["provider"], row["what"]) for row in content["rows"]} == {
        (provider, what)
        for provider in ("flowdeblur", "step loop")
        for what in ("forward", "backward", "both")
    } | {("tanh of the weights, for scale", "forward")}
    image = ElementTree.fromstring(out.with_suffix(".svg").read_text())
    words = [each.text for each in image.iter("{http://www.w3.org/2000/svg}text")]
    assert "flowdeblur, backward" in words
    for row in content["rows"]:
        assert 0 < row["low_us"] <= row["median_us"] <= row["high_us"]
        elements = {"forward": 9, "backward": 14, "both": 23}[row["what"]] * 2 * 8 * 16
        assert row["gb_per_s"] == pytest.approx(4 * elements / row["median_us"] / 1e3)


@pytest.mark.parametrize("shape", ["1x2x8", "1x2x8x0", "1x2x8xa"])
def test_a_wrong_shape_is_an_error(shape):
    with pytest.raises(UserError, match=f"--shapes {shape}: .*1x24x360x640"):
        operator.main(["--shapes", shape])


def test_tuning_needs_a_gpu(tmp_path):
    with pytest.raises(UserError, match="--tune"):
        operator.main(["--device", "cpu", "--tune", str(tmp_path / "tiles.json")])


def test_only_the_chosen_providers_are_measured(capsys):
    arguments = ["--shapes", "1x1x2x3", "--dtypes", "float32", "--repetitions", "1"]
    operator.main([*arguments, "--device", "cpu", "--providers", "step_loop"])
    table = capsys.readouterr().out
    assert "| step loop |" in table
    assert "| flowdeblur |" not in table


def test_an_unknown_provider_is_an_error():
    with pytest.raises(UserError, match=r"--providers nothing: .*flowdeblur, step_loop"):
        operator.main(["--device", "cpu", "--providers", "nothing"])


def test_a_run_that_ends_early_keeps_its_results(tmp_path, monkeypatch):
    measure = operator.measure

    def until_the_second_size(shape, *rest):
        if shape[0] == 2:
            raise KeyboardInterrupt
        return measure(shape, *rest)

    monkeypatch.setattr(operator, "measure", until_the_second_size)
    arguments = ["--shapes", "1x1x2x3", "2x1x2x3", "--dtypes", "float32", "--repetitions", "1"]
    arguments += ["--providers", "flowdeblur"]
    with pytest.raises(KeyboardInterrupt):
        operator.main([*arguments, "--device", "cpu", "--out", str(tmp_path / "table")])
    assert "| 1x1x2x3 | float32 | flowdeblur |" in (tmp_path / "table.md").read_text()


def test_a_provider_that_fails_is_reported_and_left_out(monkeypatch, capsys):
    def fails(features, weights):
        raise ZeroDivisionError("on purpose")

    broken = {
        "broken": Provider("broken", fails),
        "loop": Provider("loop", four_directions(step_loop)),
    }
    monkeypatch.setattr(operator, "providers", lambda device: broken)
    arguments = ["--shapes", "1x1x2x3", "--dtypes", "float32", "--repetitions", "1"]
    operator.main([*arguments, "--device", "cpu"])
    output = capsys.readouterr().out
    assert "broken: ZeroDivisionError: on purpose" in output
    assert "| loop |" in output
