"""What the scenes are painted with."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch

from flowdeblur.devices import one_thread_per_operation
from flowdeblur.scenes.textures import (
    PHOTOGRAPHS,
    TEXELS,
    dead_leaves,
    draw_outline,
    draw_texture,
    photograph,
)


@pytest.fixture(autouse=True)
def one_thread():
    with one_thread_per_operation():
        yield


def power_slope(planes):
    """Slope of log power over log frequency, from 1/50 to 1/5 cycles a pixel, of planes (H, W)."""
    power = np.mean([np.abs(np.fft.fft2(plane - plane.mean())) ** 2 for plane in planes], 0)
    rows, columns = (np.fft.fftfreq(side) for side in power.shape)
    frequency = np.hypot(rows[:, None], columns)
    edges = np.geomspace(1 / 50, 1 / 5, 9)
    rings = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    logarithms = np.log([(frequency[ring].mean(), power[ring].mean()) for ring in rings])
    return np.polyfit(*logarithms.T, 1)[0]


def display(seed, smallest=2.0, largest=80.0):
    light = dead_leaves(np.random.default_rng(seed), 256, 256, smallest, largest)
    return light.mean(0).numpy() ** (1 / 2.2)


def test_dead_leaves_have_the_spectrum_of_natural_images():
    slope = power_slope([display(seed) for seed in range(6)])
    assert slope == pytest.approx(-2.0, abs=0.35)
    natural = [
        power_slope([photograph(name).mean(0).numpy() ** (1 / 2.2)])
        for names in PHOTOGRAPHS.values()
        for name in names
    ]
    assert min(natural) < slope < max(natural)


def test_dead_leaves_cover_everything_with_their_own_colours():
    light = dead_leaves(np.random.default_rng(3), 200, 300, 3.0, 60.0)
    assert light.shape == (3, 200, 300)
    assert light.dtype == torch.float32
    assert 0 <= light.min() <= light.max() <= 1
    _, counts = np.unique(light.flatten(1).T.numpy().round(4), axis=0, return_counts=True)
    assert counts.max() < 0.15 * 200 * 300  # no ground shining through everywhere
    assert len(counts) > 200


def test_the_largest_leaf_fits_into_the_smallest_texture():
    assert dead_leaves(np.random.default_rng(0), 20, 20, 4.0, 100.0).isfinite().all()


def test_photographs_are_in_the_wheel_and_in_one_split_only():
    names = [name for split in PHOTOGRAPHS.values() for name in split]
    assert len(names) == len(set(names)) == 8
    files = {file.stem for file in (Path(skimage.__file__).parent / "data").iterdir()}
    assert set(names) <= files
    for name in names:
        light = photograph(name)
        assert light.shape[0] == 3
        assert 0 <= light.min() < light.max() <= 1


@pytest.mark.parametrize("size", [(64, 64), (700, 90)])
def test_textures_of_any_size_from_small_photographs(size):
    for seed in range(8):
        texture = draw_texture(np.random.default_rng(seed), ("chelsea",), *size)
        assert texture.shape == (3, *size)
        assert 0 <= texture.min() < texture.max() <= 1


def test_outlines_are_soft_and_end_within_their_texture():
    for seed in range(10):
        opacity = draw_outline(np.random.default_rng(seed), 20.0)[0]
        assert opacity.shape == (2 * TEXELS * 22,) * 2
        assert opacity.max() == 1
        assert opacity[[0, -1]].max() == opacity[:, [0, -1]].max() == 0
        assert 0.05 < opacity.mean() < 0.8
        steps = torch.cat((opacity.diff(dim=0).flatten(), opacity.diff(dim=1).flatten()))
        assert steps.abs().max() < 0.6
        inner = (opacity > 0) & (opacity < 1)
        assert inner.float().mean() < 0.2
