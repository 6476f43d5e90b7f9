"""`flowdeblur evaluate metrics=`: scores besides those of the protocols."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from tests.cli.conftest import make_weights


def test_further_metrics_are_scored_beside_those_of_the_protocol(evaluate, tmp_path):
    path = make_weights(tmp_path / "weights.safetensors")
    status, _, _, err = evaluate(
        f"weights={path}", "metrics=[default,temporal]", "data.val.clips=[b]"
    )
    assert status == 2
    assert "tOF needs 48x48" in err  # clip b is 64x40
    status, out, table, _ = evaluate(
        f"weights={path}", "metrics=[temporal]", "sharp=true", "data.val.clips=[a]", folder="second"
    )
    assert status == 0
    assert "tof (lower is better)" in table
    found = json.loads((out / "metrics.json").read_text())
    assert found["lower_is_better"] == ["tof", "flicker"]
    scores = found["protocols"]["all_frames"]["scores"]
    assert scores["sharp"]["tof"] == 0
    assert scores["blurry"]["tof"] > 0
    with (out / "frames.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["method"] == "blurry"]
    assert [line["tof"] == "" for line in lines] == [True, False, False, False]
    mean = np.mean([float(line["tof"]) for line in lines[1:]])
    assert scores["blurry"]["tof"] == pytest.approx(mean, abs=1e-5)
