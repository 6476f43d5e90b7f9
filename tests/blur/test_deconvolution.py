from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter
from skimage.restoration import richardson_lucy as uniform_richardson_lucy

from flowdeblur.blur.deconvolution import richardson_lucy
from flowdeblur.blur.kernels import Trail, blur_kernels, reblur

FLOW = (6.0, 2.0)
DUTY_CYCLE = 0.75


def trail(size):
    after = torch.tensor(FLOW, dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, *size)
    return Trail(-after, after)


def texture(size):
    image = gaussian_filter(np.random.default_rng(0).random(size), 1.5)
    image = (image - image.min()) / np.ptp(image)
    return torch.from_numpy(0.1 + 0.8 * image).expand(1, 3, *size)


def test_uniform_motion_agrees_with_scikit_image():
    sharp, motion = texture((72, 72)), trail((72, 72))
    points = Trail(torch.tensor([FLOW]).double().neg(), torch.tensor([FLOW]).double())
    kernel = blur_kernels(points, DUTY_CYCLE)[0].numpy()
    light = convolve(sharp[0, 0].numpy() ** 2.2, kernel, mode="nearest")
    blurry = torch.from_numpy(light ** (1 / 2.2)).expand(1, 3, 72, 72)
    # scikit-image starts at 0.5 everywhere, ours at the blurry frame: compare where both converge.
    wanted = uniform_richardson_lucy(light, kernel, num_iter=60) ** (1 / 2.2)
    restored = richardson_lucy(blurry, motion, DUTY_CYCLE, iterations=60)
    inner = np.s_[16:-16, 16:-16]
    difference = np.abs(restored[0, 1].numpy() - wanted)[inner].mean()
    assert difference < 0.2 * np.abs(blurry[0, 1].numpy() - wanted)[inner].mean()


@pytest.mark.parametrize("iterations", [1, 10])
def test_each_iteration_explains_the_blurry_frame_better(iterations):
    sharp, motion = texture((48, 48)), trail((48, 48))
    blurry = reblur(sharp, motion, DUTY_CYCLE)
    before = (reblur(blurry, motion, DUTY_CYCLE) - blurry).abs().mean()
    restored = richardson_lucy(blurry, motion, DUTY_CYCLE, iterations=iterations)
    after = (reblur(restored, motion, DUTY_CYCLE) - blurry).abs().mean()
    assert after < before * (0.7 if iterations == 1 else 0.2)
    assert (restored - sharp).square().mean() < (blurry - sharp).square().mean()


def test_without_motion_nothing_changes():
    sharp = texture((24, 24))
    still = Trail(torch.zeros(1, 2, 24, 24).double(), torch.zeros(1, 2, 24, 24).double())
    restored = richardson_lucy(sharp, still, DUTY_CYCLE)
    torch.testing.assert_close(restored, sharp, atol=1e-9, rtol=0)
