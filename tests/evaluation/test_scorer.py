"""Metrics of successive frames: which frames they see, and what becomes of frames without score."""

from __future__ import annotations

import math

import pytest
import torch

from flowdeblur.errors import UserError
from flowdeblur.evaluation import AllFrames, Protocol, mean_of_frames, unquantized
from flowdeblur.evaluation.metrics import psnr
from flowdeblur.evaluation.motion import MotionBins
from flowdeblur.evaluation.report import frames_csv, table
from flowdeblur.evaluation.restorers import Prediction
from flowdeblur.evaluation.scorer import PairMetric, Scorer, follows, lower_is_better, partial
from flowdeblur.evaluation.scoring import Evaluation, choose, require_successive
from flowdeblur.training.processes import FrameMeans


class Change(PairMetric):
    def compare(self, restored, sharp):
        return (restored[1] - restored[0]).mean() - (sharp[1] - sharp[0]).mean()


def frames(*values):
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a/0009", "a/0010", True),
        ("a/f9x2", "a/f9x3", True),
        ("a/9", "a/11", False),
        ("a/10", "a/9", False),
        ("a/0", "b/1", False),
        ("a/x", "a/y", False),
    ],
)
def test_successive_frames_have_successive_numbers_in_one_clip(one, other, expected):
    assert follows(one, other) is expected


def test_pairs_reach_across_batches_but_not_across_clips_or_gaps():
    scorer = Scorer({"change": Change(), "psnr": psnr})
    zeros = frames(0.0, 0.0)
    first = scorer(["a/0", "a/1"], frames(0.1, 0.3), zeros)
    second = scorer(["a/2", "a/4"], frames(0.35, 0.8), zeros)
    third = scorer(["b/5", "b/6"], frames(0.9, 0.2), zeros)
    changes = torch.cat([each["change"] for each in (first, second, third)]).tolist()
    expected = [math.nan, 0.2, 0.05, math.nan, math.nan, -0.7]
    assert changes == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert first["psnr"].tolist() == pytest.approx([20.0, 10.4576], abs=1e-3)


def test_directions_and_partial_scores_are_stated():
    assert lower_is_better(Change())
    assert not lower_is_better(psnr)
    assert partial(Change())
    assert not partial(psnr)


def test_frames_without_a_score_do_not_count():
    metrics = {"psnr": psnr, "change": Change()}
    protocol = Protocol(AllFrames(), unquantized, metrics, mean_of_frames)
    keys = ["a/0", "a/1", "a/2", "b/0"]
    evaluation = Evaluation({"all": choose("all", protocol, keys)}, MotionBins([1]))
    for key, value in zip(keys, (0.1, 0.2, 0.4, 0.9), strict=True):
        sharp = torch.zeros(3, 16, 16, dtype=torch.uint8)
        evaluation.add({"key": key, "sharp": sharp}, {"restored": Prediction(frames(value)[0])})
    summary = evaluation.summary("all")
    assert summary["scores"]["restored"]["change"] == pytest.approx(0.15)
    assert "change" not in summary["clips"]["b"]["restored"]
    lines = frames_csv(evaluation).splitlines()
    assert lines[0] == "protocol,clip,frame,method,psnr,change,motion_px"
    assert [line.split(",")[5] for line in lines[1:]] == ["", "0.100000", "0.200000", ""]
    assert "change (lower is better)" in table({"all": summary}, {"all": None}, ["change"])


def test_metrics_of_successive_frames_need_some():
    protocol = Protocol(AllFrames(), unquantized, {"psnr": psnr}, mean_of_frames)
    protocol = protocol.extended({"change": Change(), "psnr": Change()})
    assert protocol.metrics["psnr"] is psnr
    apart = {"all": choose("all", protocol, ["a/0", "a/2", "b/3"])}
    require_successive({"psnr": psnr}, apart)
    require_successive({"change": Change()}, {"all": choose("all", protocol, ["a/0", "a/1"])})
    with pytest.raises(UserError, match=r"metrics\.change: compares successive frames"):
        require_successive({"change": Change()}, apart)


def test_means_leave_out_what_is_not_defined_and_keep_what_diverged():
    means, nan = FrameMeans(), math.nan
    scores = {"change": torch.tensor([nan, 1.0]), "psnr": torch.tensor([nan, 30.0])}
    means.add(scores | {"never": torch.tensor([nan, nan])}, 2, {"change", "never"})
    found = means.pop(torch.device("cpu"))
    assert found == pytest.approx({"change": 1.0, "psnr": nan}, nan_ok=True)
