from __future__ import annotations

import colorsys
import itertools
import math

import numpy as np
import pytest
import torch

from flowdeblur.types import Restoration
from flowdeblur.viz.flow_wheel import flow_to_rgb
from flowdeblur.viz.panels import panel, restoration_columns


def test_hue_is_direction_and_saturation_length():
    for degrees, length in itertools.product(range(0, 360, 15), (0.0, 1.0, 3.0, 4.0)):
        angle = math.radians(degrees)
        flow = torch.tensor([math.cos(angle), math.sin(angle)]).mul(length).view(1, 2, 1, 1)
        colour = flow_to_rgb(flow, max_px=4.0)[0, :, 0, 0].tolist()
        expected = colorsys.hsv_to_rgb(degrees / 360, length / 4, 1.0)
        assert colour == pytest.approx(expected, abs=1e-5), (degrees, length)


def test_long_flows_are_saturated_and_the_scale_is_automatic():
    flow = torch.zeros(2, 2, 2, 2)
    flow[0, 0] = 8.0
    flow[1, 0] = 0.5  # less than one pixel is not blown up
    assert torch.equal(flow_to_rgb(flow, max_px=4.0)[0], flow_to_rgb(flow)[0])
    assert flow_to_rgb(flow)[0, 1].max() == 0
    assert flow_to_rgb(flow)[1, 1].min() == 0.5


def batch(size=(60, 70)):
    return {
        "frames": torch.rand(2, 2, 3, *size),
        "sharp": torch.rand(2, 3, *size),
        "key": ["a/0", "a/1"],
        "flow": torch.full((2, 2, *size), 3.0),
    }


def test_columns_of_a_restoration():
    data = batch()
    flows = tuple(
        torch.full((2, 2, 64 // scale, 128 // scale), 3.0 / scale) for scale in (64, 32, 16, 8, 4)
    )
    columns = restoration_columns(data, Restoration(data["sharp"], flows, ()), current=0)
    assert list(columns) == ["blurry", "restored", "sharp", "predicted flow", "true flow"]
    assert all(each.shape == (2, 3, 60, 70) for each in columns.values())
    assert torch.allclose(columns["predicted flow"], columns["true flow"], atol=1e-5)
    assert torch.equal(columns["blurry"], data["frames"][:, 0])


def test_columns_without_flow():
    data = {key: value for key, value in batch().items() if key != "flow"}
    columns = restoration_columns(data, Restoration(data["sharp"], (), ()), current=1)
    assert list(columns) == ["blurry", "restored", "sharp"]
    assert torch.equal(columns["blurry"], data["frames"][:, 1])


def test_panel_shows_every_image_unscaled():
    columns = {name: torch.rand(3, 3, 20, 30) for name in ("one", "two")}
    image = panel(columns, rows=2, notes=["first", "second", "third"])
    assert image.dtype == np.uint8
    for number, column in enumerate(columns.values()):
        for row in range(2):
            wanted = (column[row] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            left = number * 34
            assert any(
                np.array_equal(image[top : top + 20, left : left + 30], wanted)
                for top in range(image.shape[0] - 19)
            )
    shown = (columns["one"][2] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert not any(
        np.array_equal(image[top : top + 20, :30], shown) for top in range(image.shape[0] - 19)
    )
