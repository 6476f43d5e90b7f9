from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.ndimage import convolve, gaussian_filter

from flowdeblur.blur.kernels import Trail, blur_kernels, reblur, trail_inside
from flowdeblur.scenes import Scenes


def straight(*flow):
    vector = torch.tensor([flow], dtype=torch.float64)
    return Trail(-vector, vector)


def field(vector, size):
    return torch.tensor(vector, dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, *size)


def line_integral(flow, duty_cycle, reach):
    """Each pixel's share of a moving point's light, integrated adaptively over the exposure."""

    def tent(x):
        return max(1 - abs(x), 0)

    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    half = duty_cycle / 2
    for row in range(-reach, reach + 1):
        for column in range(-reach, reach + 1):
            kinks = [
                (place + side) / speed
                for place, speed in ((column, flow[0]), (row, flow[1]))
                for side in (-1, 0, 1)
                if speed and abs((place + side) / speed) < half
            ]
            kernel[row + reach, column + reach] = quad(
                lambda t, c=column, r=row: tent(flow[0] * t - c) * tent(flow[1] * t - r),
                -half,
                half,
                points=kinks or None,
            )[0]
    return kernel / duty_cycle


@pytest.mark.parametrize("flow", [(6.0, 0.0), (0.0, -3.3), (4.0, 4.0), (-7.1, 2.6), (0.4, 0.3)])
@pytest.mark.parametrize("duty_cycle", [0.5, 1.0])
def test_a_kernel_is_the_line_integral_of_a_moving_point(flow, duty_cycle):
    kernel = blur_kernels(straight(*flow), duty_cycle)[0].numpy()
    expected = line_integral(flow, duty_cycle, len(kernel) // 2)
    assert expected.sum() == pytest.approx(1)  # the kernel is large enough
    np.testing.assert_allclose(kernel, expected, atol=2e-3)


def test_a_kernel_along_a_row_is_as_long_as_the_exposure():
    kernel = blur_kernels(straight(8.0, 0.0), 0.5)[0]
    middle = len(kernel) // 2
    assert torch.count_nonzero(kernel[:middle]) == torch.count_nonzero(kernel[middle + 1 :]) == 0
    assert kernel[middle].tolist() == pytest.approx([1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], abs=1e-3)


@pytest.mark.parametrize(("flow", "duty_cycle"), [((0.0, 0.0), 0.8), ((5.0, 2.0), 0.0)])
def test_without_motion_or_exposure_a_kernel_is_one_pixel(flow, duty_cycle):
    kernel = blur_kernels(straight(*flow), duty_cycle)
    assert kernel.shape == (1, 1, 1)
    assert float(kernel) == pytest.approx(1)


def test_kernels_sum_to_one_along_the_trail():
    torch.manual_seed(0)
    trail = Trail(5 * torch.randn(50, 2).double(), 5 * torch.randn(50, 2).double())
    kernels = blur_kernels(trail, 0.7)
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(50).double())
    assert kernels.min() >= 0
    line = torch.arange(kernels.shape[-1]).double() - kernels.shape[-1] // 2
    centroid = torch.stack(((kernels * line).sum((1, 2)), (kernels * line[:, None]).sum((1, 2))), 1)
    torch.testing.assert_close(centroid, 0.7 / 8 * (trail.before + trail.after), atol=2e-3, rtol=0)


def test_reblurring_is_convolution_with_the_kernel():
    random = np.random.default_rng(0)
    image = gaussian_filter(random.random((3, 40, 50)), (0, 1.5, 1.5))
    # Bent, so that convolution and correlation differ.
    before, after = (-6.0, 3.0), (2.0, 7.0)
    trail = Trail(field(before, (40, 50)), field(after, (40, 50)))
    blurred = reblur(torch.from_numpy(image)[None], trail, 0.9, gamma=1)[0].numpy()
    points = Trail(*(torch.tensor([each], dtype=torch.float64) for each in (before, after)))
    kernel = blur_kernels(points, 0.9)[0].numpy()
    for channel in range(3):
        expected = convolve(image[channel], kernel, mode="nearest")
        np.testing.assert_allclose(blurred[channel], expected, atol=1e-3)
        assert np.abs(convolve(image[channel], kernel[::-1, ::-1]) - expected).max() > 0.02


def test_reblurring_averages_light():
    image = torch.zeros(1, 3, 1, 41)
    image[..., 20] = 1
    flow = field((9.0, 0.0), (1, 41)).float()
    blurred = reblur(image, Trail(-flow, flow), 1.0)
    light = blurred**2.2
    assert float(light.sum()) / 3 == pytest.approx(1, rel=1e-3)
    assert float(light[0, 0, 0, 20]) == pytest.approx(1 / 9, rel=0.05)


@pytest.mark.parametrize("index", range(2))
def test_a_sharp_scene_blurred_along_its_flow_is_nearer_to_the_blurry_one(index):
    recipe = Scenes("val", 2, size=(96, 96), still=0.0, noise=(0.0, 0.0), cache=None)
    sample, duty_cycle = recipe.open((0, 1), (1,))[index], recipe.scene(index).duty_cycle
    sharp, blurry, flow = sample["sharp"][None] / 255, sample["frames"][:1] / 255, sample["flow"]
    across = torch.stack((flow[1], -flow[0]))
    along, across = (Trail(-each[None], each[None]) for each in (flow, across))
    seen = trail_inside(along, duty_cycle) & trail_inside(across, duty_cycle)

    def error(image):
        return float(((image - blurry).square() * seen).mean())

    explained = error(reblur(sharp, along, duty_cycle))
    assert explained < 0.7 * error(sharp)
    assert explained < 0.7 * error(reblur(sharp, across, duty_cycle))


def test_a_trail_beyond_the_frame_is_reported():
    flow = field((4.0, 0.0), (3, 9))
    kept = trail_inside(Trail(-flow, flow), 1.0)[0, 0]
    assert kept.tolist() == [[False] * 2 + [True] * 5 + [False] * 2] * 3


@pytest.mark.parametrize(
    ("directions", "before", "after"),
    [
        ([1], -1, 1),
        ([0], -1, 1),
        ([-1], 1, -1),
        ([-1, 1], 1, 2),
        ([1, 1], -2, 2),
        ([-1, -1], 2, -2),
    ],
)
def test_flows_to_neighbours_become_one_trail(directions, before, after):
    flow = torch.cat([torch.full((1, 2, 1, 1), n + 1.0) for n in range(len(directions))], 1)
    trail = Trail.of_flows(flow, directions)
    assert (trail.before.unique().item(), trail.after.unique().item()) == (before, after)
