"""Temporal metrics against direct computations."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from flowdeblur.errors import UserError
from flowdeblur.evaluation.detection import PeopleDetector
from flowdeblur.evaluation.pairs import DistanceDifference, Flicker, FlowDifference
from flowdeblur.evaluation.vmaf import VMAF


def texture(seed, size):
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    smooth = gaussian_filter(noise, (2, 2, 0))
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def moved(image, right, down=0):
    return np.roll(image, (down, right), axis=(0, 1))


def tensor(*images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def test_tof_as_a_direct_computation_gives_it():
    size = (83, 119)
    sharp = [texture(0, size), moved(texture(0, size), 3, 1)]
    restored = [texture(0, size), moved(texture(0, size), 2)]

    def flow(one, other):
        grey = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (one, other)]
        return cv2.calcOpticalFlowFarneback(*grey, None, 0.5, 3, 15, 3, 5, 1.2, 0)

    difference = flow(*restored).astype(np.float64) - flow(*sharp)
    window = difference[9:73, 11:107]  # 64 of 83 rows, 96 of 119 columns, centred
    expected = np.sqrt((window**2).sum(-1)).mean()
    ours = FlowDifference().compare(tensor(*restored), tensor(*sharp))
    assert ours.item() == pytest.approx(expected, rel=1e-5)
    assert 0.5 < expected < 3  # the motion differs by (1, 1)
    assert FlowDifference().compare(tensor(*sharp), tensor(*sharp)).item() == 0


def test_tof_names_frames_that_are_too_small():
    with pytest.raises(UserError, match="47x60 pixels are too small: tOF needs 48x48"):
        FlowDifference().compare(torch.zeros(2, 3, 60, 47), torch.zeros(2, 3, 60, 47))


def test_motion_alone_flickers_little_and_light_that_changes_flickers_as_much_as_it_changes():
    image = texture(1, (96, 128))
    steady, brighter = tensor(image, moved(image, 4)), tensor(image, moved(image, 4))
    brighter[1] = brighter[1] * 0.9 + 0.1 * brighter[1].mean()  # contrast: DIS sees it, too
    still = tensor(image, image)
    still[1] += 4 / 255
    inside = still.clamp(0, 1)[1] - still[0]
    expected = 255 * inside.square().mean().sqrt().item()
    flicker = Flicker()
    assert flicker.compare(still, still).item() == pytest.approx(expected, rel=0.02)
    assert flicker.compare(steady, steady) < 0.5 * flicker.compare(brighter, brighter)


def test_tlp_is_the_difference_of_two_distances():
    def distance(one, other):
        return (one - other).abs().mean((1, 2, 3))

    values = torch.tensor([0.2, 0.5, 0.1, 0.2]).view(2, 2, 1, 1, 1).expand(2, 2, 3, 8, 8)
    score = DistanceDifference(distance).compare(*values)
    assert score.item() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("library", "metric"), [("cv2", FlowDifference), ("vmaf_torch", VMAF), ("cv2", PeopleDetector)]
)
def test_a_missing_extra_is_named(library, metric, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=rf"{library} is not installed: pip install .*\[metrics\]"):
        metric()
