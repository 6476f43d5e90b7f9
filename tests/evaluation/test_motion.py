from __future__ import annotations

import numpy as np
import pytest
import torch

from flowdeblur.errors import UserError
from flowdeblur.evaluation.motion import MotionBins, speed


def test_speed_is_the_mean_length_over_neighbours():
    flow = torch.tensor([3.0, 4.0, 0.0, 1.0]).view(4, 1, 1).expand(4, 2, 3)
    assert torch.equal(speed(flow), torch.full((2, 3), 3.0))


def test_psnr_is_pooled_over_the_pixels_of_a_bin():
    rng = np.random.default_rng(0)
    bins, errors, lengths = MotionBins([1, 4]), [], []
    for _ in range(3):
        sharp = rng.random((3, 8, 9)).astype(np.float32)
        restored = (sharp + rng.normal(0, 0.1, sharp.shape)).astype(np.float32)
        length = (rng.random((8, 9)) * 6).astype(np.float32)
        errors.append(((restored.clip(0, 1) - sharp) ** 2).mean(0))
        lengths.append(length)
        bins.add(
            torch.from_numpy(length),
            {"restored": torch.from_numpy(restored)},
            torch.from_numpy(sharp),
        )
    error, length = np.array(errors, dtype=np.float64), np.array(lengths)
    for each in bins.summary():
        inside = (length >= each["from"]) & (length < (each["to"] or np.inf))
        assert each["share"] == pytest.approx(inside.mean())
        assert each["psnr"]["restored"] == pytest.approx(
            -10 * np.log10(error[inside].mean()), abs=1e-4
        )


def test_an_edge_belongs_to_the_faster_bin():
    bins = MotionBins([1.0, 2.0])
    bins.add(torch.tensor([[0.5, 1.0, 2.0, 2.5]]), {}, torch.zeros(3, 1, 4))
    assert [each["share"] for each in bins.summary()] == [0.25, 0.25, 0.5]
    assert [(each["from"], each["to"]) for each in bins.summary()] == [(0, 1), (1, 2), (2, None)]


def test_an_empty_bin_and_a_perfect_one_have_no_number():
    bins = MotionBins([1.0])
    bins.add(torch.zeros(4, 4), {"restored": torch.ones(3, 4, 4)}, torch.ones(3, 4, 4))
    assert [each["psnr"]["restored"] for each in bins.summary()] == [None, None]


@pytest.mark.parametrize("edges", [[], [0, 1], [2, 1], [1, 1]])
def test_edges_ascend(edges):
    with pytest.raises(
        UserError, match=r"motion_bins=.*: name edges that ascend from above 0, as \[1,2,4\]"
    ):
        MotionBins(edges)
