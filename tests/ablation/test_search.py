"""Bayesian search, on runs that score by a formula."""

from __future__ import annotations

import json
import math
import shutil

import pytest

from flowdeblur.ablation.search import Search, recorded
from flowdeblur.ablation.sweep import read_sweep
from flowdeblur.errors import UserError

pytest.importorskip("optuna")

SWEEP = """
program: train.py
method: bayes
metric: {name: val/psnr, goal: maximize}
run_cap: 25
parameters:
  optimizer.lr: {distribution: log_uniform_values, min: 0.00001, max: 0.1}
  data.batch_size: {min: 1, max: 16}
  model: {values: [proposed, bidirectional]}
"""


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "search.yaml").write_text(SWEEP)
    return read_sweep(tmp_path / "search.yaml")


def psnr(values):
    """Best at lr 1e-3, batch 16, bidirectional."""
    return (
        -((math.log10(values["optimizer.lr"]) + 3) ** 2)
        + values["data.batch_size"] / 16
        + (values["model"] == "bidirectional")
    )


def finish(folder, point, metric="psnr"):
    (folder / point.name).mkdir(parents=True, exist_ok=True)
    content = {"steps": 1, "val": {metric: psnr(point.parameters)}}
    (folder / point.name / "metrics.json").write_text(json.dumps(content))


def complete(sweep, folder, count=1, limit=1000):
    search, done = Search(sweep, folder), 0
    while done < limit and (points := search.propose(count)):
        for point in points:
            finish(folder, point)
        search.close(points)
        done += len(points)
    return recorded(sweep, folder)


def test_a_search_finds_what_it_looks_for(sweep, tmp_path):
    points = complete(sweep, tmp_path / "runs")
    assert len(points) == 25
    best, score = Search(sweep, tmp_path / "runs").best()
    scores = [psnr(point.parameters) for point in points]
    assert score == max(scores) == psnr(best.parameters)
    # It learns: what it proposes late is better than what it began with.
    assert sum(scores[15:]) / 10 > sum(scores[:10]) / 10
    for point in points:
        lr, batch = (point.parameters[key] for key in list(point.parameters)[:2])
        assert 1e-5 <= lr <= 0.1
        assert batch in range(1, 17)
        assert f"optimizer.lr={lr}" in point.overrides


def test_a_search_cut_short_is_the_same_search(sweep, tmp_path):
    straight = complete(sweep, tmp_path / "straight")
    complete(sweep, tmp_path / "cut", limit=11)
    assert len(recorded(sweep, tmp_path / "cut")) == 11
    assert complete(sweep, tmp_path / "cut") == straight


def test_a_run_that_was_begun_comes_first(sweep, tmp_path):
    first = Search(sweep, tmp_path).propose(2)
    finish(tmp_path, first[0])
    again = Search(sweep, tmp_path)
    assert again.propose(1) == [first[1]]
    again.close([first[1]])  # it has failed
    assert first[1] not in again.propose(2)


def test_several_at_a_time(sweep, tmp_path):
    points = complete(sweep, tmp_path, count=4)
    assert len({point.name for point in points}) == 25


def test_other_parameters_are_refused(sweep, tmp_path):
    complete(sweep, tmp_path, limit=1)
    with pytest.raises(UserError, match="choose another --runs"):
        recorded(sweep.with_overrides(["data.batch_size=4"]), tmp_path)


def test_an_unknown_metric_is_reported(sweep, tmp_path):
    (point,) = Search(sweep, tmp_path).propose(1)
    finish(tmp_path, point, metric="loss")
    with pytest.raises(UserError, match=r"metric.name is val/psnr, which is not in"):
        Search(sweep, tmp_path).propose(1)
    shutil.rmtree(tmp_path / point.name)
