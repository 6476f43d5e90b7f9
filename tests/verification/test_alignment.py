"""Measures of alignment, against other libraries and known displacements."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color, measure, metrics
from tests.datasets.fakes import pan

from flowdeblur.verification.alignment import compare, find_shift, luminance

LARGE = (200, 320)


def planes(**settings):
    (pair,) = pan(1, size=LARGE, start=(20, 100), **settings)
    return [luminance(each)[0] for each in pair]


def test_luminance_is_averaged_over_squares():
    image = np.random.default_rng(0).integers(0, 256, (721, 1280, 3), dtype=np.uint8)
    plane, side = luminance(image)
    grey = image.astype(float) @ [0.299, 0.587, 0.114]
    assert side == 2
    np.testing.assert_allclose(plane, measure.block_reduce(grey[:720], 2, np.mean), atol=1e-3)
    small, side = luminance(image[:300, :400])
    assert side == 1
    np.testing.assert_allclose(small, color.rgb2yuv(image[:300, :400])[..., 0] * 255, atol=0.1)


@pytest.mark.parametrize("motion", [(0, 0), (6, 2), (-14, 3), (0, 21)])
def test_blur_about_the_sharp_moment_is_no_shift(motion):
    assert np.hypot(*find_shift(*planes(motion=motion))) < 0.3


@pytest.mark.parametrize("motion", [(0, 0), (8, 3), (0, 14)])
@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-12, 5), (25, 0)])
def test_a_displaced_blurry_frame(motion, shift):
    (blurry, _), (_, sharp) = (
        pan(1, size=LARGE, start=start, motion=motion)[0]
        for start in ((60 - shift[0], 100 - shift[1]), (60, 100))
    )
    found = find_shift(luminance(blurry)[0], luminance(sharp)[0])
    assert np.hypot(found[0] - shift[0], found[1] - shift[1]) < 0.7


@pytest.mark.parametrize("phase", [0.0, 1.0])
def test_a_sharp_frame_at_an_end_of_the_exposure_is_half_a_blur_away(phase):
    motion = np.array([9.0, -4.0])  # of the camera; the content moves the other way
    found = find_shift(*planes(motion=tuple(motion), phase=phase))
    np.testing.assert_allclose(found, -motion * (0.5 - phase), atol=0.7)


def test_comparison_with_three_sharp_frames():
    frames = [[luminance(each)[0] for each in pair] for pair in pan(3, size=LARGE, motion=(5, 2))]
    found = compare("00001", frames[1][0], frames[1][1], frames[0][1], frames[2][1], scale=2)
    for value, sharp in (
        (found.before, frames[0][1]),
        (found.own, frames[1][1]),
        (found.after, frames[2][1]),
    ):
        expected = metrics.peak_signal_noise_ratio(sharp, frames[1][0], data_range=255)
        assert value == pytest.approx(expected, abs=1e-3)
    blurry, sharp = frames[1]
    expected = np.corrcoef(blurry.ravel(), sharp.ravel())[0, 1]
    assert found.correlation == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(found.motion, (-10, -4), atol=0.5)
    assert np.hypot(*found.shift) < 0.6


def test_frames_without_texture():
    flat = np.full((40, 60), 7, np.float32)
    found = compare("0", flat, flat, None, None, scale=1)
    assert (found.before, found.after, found.motion) == (None, None, None)
    assert found.correlation == 1
    assert np.isfinite(found.shift).all()
