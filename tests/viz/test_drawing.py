from __future__ import annotations

import numpy as np
import pytest
import torch

from flowdeblur.blur.kernels import Trail
from flowdeblur.viz.drawing import (
    draw_difference,
    draw_flow,
    draw_flow_key,
    draw_kernels,
    draw_rnn_weights,
)
from flowdeblur.viz.flow_wheel import flow_to_rgb
from flowdeblur.viz.panels import to_bytes


def uniform(dx, dy, size=(16, 16)):
    return torch.tensor([dx, dy]).view(2, 1, 1).expand(2, *size)


def test_an_arrow_goes_from_its_pixel_along_the_flow():
    for dx, dy in ((5.0, 0.0), (-5.0, 0.0), (0.0, 5.0), (0.0, -5.0)):
        image, times = draw_flow(uniform(dx, dy))
        background = to_bytes(flow_to_rgb(uniform(dx, dy, (1, 1))[None]))[0, 0, 0]
        rows, columns = np.nonzero(np.abs(image.astype(int) - background).sum(2) > 100)
        reach = np.array((columns.mean() - 8, rows.mean() - 8))  # the cell's middle is at 8, 8
        assert reach @ (dx, dy) > 5 * 3
        assert times == pytest.approx(0.9 * 16 / 5)


def test_no_flow_is_white_with_dots():
    image, _ = draw_flow(torch.zeros(2, 64, 48))
    assert image.shape == (64, 48, 3)
    assert 0 < (image < 255).mean() < 0.02


def test_kernels_are_drawn_along_the_flow():
    frame = torch.full((3, 64, 64), 0.5)
    for flow, axis in ((uniform(6.0, 0.0, (64, 64)), 1), (uniform(0.0, 6.0, (64, 64)), 0)):
        image, times = draw_kernels(frame, Trail(-flow[None], flow[None]), 1.0)
        drawn = np.abs(image.astype(int) - round(0.55 * 128)).sum(2) > 100
        # 7 pixels long and 1 wide, `times` as large, four to a row and column.
        assert times == 2
        assert sorted((drawn.any(0).sum(), drawn.any(1).sum())) == [4 * times, 4 * 7 * times]
        assert drawn.any(1 - axis).sum() > drawn.any(axis).sum()


def test_without_motion_kernels_are_single_spots():
    frame = torch.rand(3, 40, 40)
    none = torch.zeros(1, 2, 40, 40)
    image, times = draw_kernels(frame, Trail(none, none), 0.8)
    spots = (image == (255, 190, 40)).all(2)
    assert spots.sum() == 2 * 2 * times**2


def test_weights_are_shown_by_direction_and_scale():
    weights = []
    for scale in (8, 4, 2):
        each = torch.zeros(1, 4 * 3, 64 // scale, 128 // scale)
        each[:, 6:9] = -0.5  # the third direction; the size counts, not the sign
        weights.append(each)
    image, brightest = draw_rnn_weights(tuple(weights), (60, 100))
    assert brightest == 0.5
    for column in range(4):
        tile = image[16 : 16 + 60, column * 104 : column * 104 + 100].reshape(-1, 3)
        assert len(np.unique(tile, axis=0)) == 1
        assert tile[0].sum() > 600 if column == 2 else tile[0].sum() < 60


def test_differences_are_around_grey():
    image = torch.full((3, 8, 8), 0.5)
    assert np.unique(draw_difference(image, image)[0]).tolist() == [128]
    brighter = image.clone()
    brighter[:, :4] += 0.1
    image, times = draw_difference(image, brighter)
    assert times == 4
    assert np.unique(image[4:]).tolist() == [128]
    assert np.unique(image[:4]).tolist() == [round(255 * (0.5 + 0.4))]


def test_the_key_has_the_colours_of_a_flow():
    wheel = draw_flow_key(101)
    assert wheel[50, 100].tolist() == [255, 0, 0]
    assert wheel[50, 50].tolist() == wheel[0, 0].tolist() == [255, 255, 255]
