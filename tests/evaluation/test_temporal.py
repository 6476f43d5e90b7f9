from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from flowdeblur.errors import UserError
from flowdeblur.evaluation.restorers import Prediction
from flowdeblur.evaluation.temporal import WarpError, visible


def smooth_flow(rng, size, strength):
    return gaussian_filter(rng.normal(size=(2, *size)), (0, 4, 4)) * strength


def test_visible_as_its_definition_says():
    rng, size = np.random.default_rng(0), (40, 56)
    forward = smooth_flow(rng, size, 20)
    backward = -forward + smooth_flow(rng, size, 8)
    ys, xs = np.mgrid[: size[0], : size[1]].astype(float)
    to_x, to_y = xs + forward[0], ys + forward[1]
    inside = (to_x >= 0) & (to_x < size[1]) & (to_y >= 0) & (to_y < size[0])
    back = np.stack(
        [map_coordinates(each, (to_y, to_x), order=1, mode="nearest") for each in backward]
    )
    difference, lengths = ((forward + back) ** 2).sum(0), (forward**2).sum(0)
    returns = difference <= 0.01 * (lengths + (back**2).sum(0)) + 0.5
    slopes = sum((np.gradient(each, axis=axis) ** 2) for each in forward for axis in (0, 1))
    boundary = slopes > 0.01 * lengths + 0.002
    expected = inside & returns & ~boundary
    assert all(0.05 < each.mean() < 0.95 for each in (inside & returns, boundary))
    ours = visible(*(torch.from_numpy(each)[None] for each in (forward, backward)))
    assert np.array_equal(ours[0, 0].numpy(), expected)


def shift(image, other):
    """A flow that is known: one pixel to the left in each frame."""
    sign = 1.0 if image[0, 0, 0] < other[0, 0, 0] else -1.0
    return torch.stack([torch.full(image.shape[:2], -sign), torch.zeros(image.shape[:2])])


def test_what_moves_with_the_flow_is_steady_and_what_flickers_is_not():
    ramp = torch.arange(60, dtype=torch.uint8).repeat(3, 16, 1)  # its first pixel is the order
    keys = [f"clip/{frame}" for frame in range(5)]
    measure = WarpError(keys, keys, shift)
    for frame, key in enumerate(keys):
        sharp = ramp[..., frame : frame + 50]
        steady = sharp / 255 + 0.3
        measure(
            {"key": key, "sharp": sharp},
            {"steady": Prediction(steady), "flickers": Prediction(steady + 0.1 * (frame % 2))},
        )
    summary = measure.summary()
    assert summary["pairs"] == 4
    assert summary["visible"] == pytest.approx(49 / 50)  # what leaves at the left
    assert summary["errors"]["flickers"] == pytest.approx(0.01, rel=1e-5)
    assert summary["errors"]["steady"] == pytest.approx(0, abs=1e-10)
    assert summary["errors"]["sharp"] == pytest.approx(0, abs=1e-10)


def test_only_neighbours_of_one_clip_are_compared():
    keys = ["a/0", "a/1", "a/2", "a/3", "b/0", "b/1"]
    scored = ["a/0", "a/2", "a/3", "b/0", "b/1"]
    measure = WarpError(keys, scored, lambda one, other: torch.zeros(2, *one.shape[:2]))
    for number, key in enumerate(scored):
        frame = torch.full((3, 8, 9), number, dtype=torch.uint8)
        measure({"key": key, "sharp": frame}, {"restored": Prediction(frame / 255)})
    assert measure.summary() == {
        "pairs": 2,
        "visible": 1.0,
        "errors": pytest.approx(dict.fromkeys(("restored", "sharp"), 1 / 255**2)),
    }
    with pytest.raises(UserError, match="warp_error: no two scored frames follow each other"):
        WarpError(keys, ["a/0", "a/2", "b/0"], shift)
