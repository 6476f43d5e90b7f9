from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from flowdeblur.evaluation.metrics import end_point_error, psnr, ssim, ssim_volumetric


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(3, 3, 48, 40, generator=generator)
    noise = torch.randn(sharp.shape, generator=generator) * torch.tensor([0.02, 0.1, 0.3]).view(
        3, 1, 1, 1
    )
    return sharp + noise, sharp


def test_ssim_is_the_same_under_mixed_precision(pair):
    with torch.autocast("cpu", torch.bfloat16):
        mixed = ssim(*pair)
    assert torch.equal(mixed, ssim(*pair))


def test_psnr_is_per_frame(pair):
    restored, sharp = pair
    expected = [
        peak_signal_noise_ratio(s.numpy(), r.clamp(0, 1).numpy(), data_range=1.0)
        for r, s in zip(restored, sharp, strict=True)
    ]
    assert psnr(restored, sharp).tolist() == pytest.approx(expected, abs=1e-4)


def test_ssim_is_per_frame_and_channel(pair):
    restored, sharp = pair
    expected = [
        structural_similarity(
            s.numpy(),
            r.clamp(0, 1).numpy(),
            data_range=1.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for r, s in zip(restored, sharp, strict=True)
    ]
    assert ssim(restored, sharp).tolist() == pytest.approx(expected, abs=1e-4)


def test_scores_are_those_of_displayable_images():
    sharp = torch.ones(1, 3, 16, 16)
    assert torch.isinf(psnr(sharp + 1, sharp))


def test_end_point_error_counts_visible_pixels_of_the_unpadded_frame():
    true_flow = torch.zeros(2, 2, 100, 70)
    true_flow[:, 0] = 8.0
    flow = torch.zeros(2, 2, 32, 32)  # of a frame padded to 128 x 128, at 1/4
    flow[:, 0] = 1.0  # 4 px at full size
    visible = torch.ones(2, 1, 100, 70, dtype=torch.bool)
    true_flow[1, :, :50] = 1e3
    visible[1, :, :50] = False
    assert end_point_error(flow, true_flow, visible).tolist() == pytest.approx([4.0, 4.0])


def test_end_point_error_of_two_neighbours_is_their_mean():
    true_flow = torch.tensor([3.0, 4.0, 0.0, 1.0]).view(1, 4, 1, 1).expand(1, 4, 64, 64)
    assert end_point_error(torch.zeros(1, 4, 16, 16), true_flow).item() == pytest.approx(3.0)


def blurred(x):
    """A Gaussian of radius 5 over all three axes; the last value repeats beyond each."""
    return gaussian_filter(x, sigma=1.5, radius=5, mode="nearest")


def test_volumetric_ssim_is_the_three_dimensional_one(pair):
    restored, sharp = pair
    scores = ssim_volumetric(restored, sharp).tolist()
    for score, r, s in zip(
        scores, restored.clamp(0, 1).double().numpy(), sharp.double().numpy(), strict=True
    ):
        mean_r, mean_s = blurred(r), blurred(s)
        variances = blurred(r * r) - mean_r**2 + blurred(s * s) - mean_s**2
        covariance = blurred(r * s) - mean_r * mean_s
        similarity = (2 * mean_r * mean_s + 1e-4) * (2 * covariance + 9e-4)
        similarity /= (mean_r**2 + mean_s**2 + 1e-4) * (variances + 9e-4)
        assert score == pytest.approx(similarity.mean(), abs=1e-5)


def test_volumetric_ssim_by_hand(pair):
    """Windows of 11 x 11 x 11 values, one by one, of a frame padded with its last values."""
    restored, sharp = pair[0][2:, :, :12, :13].clamp(0, 1), pair[1][2:, :, :12, :13]
    offsets = np.arange(-5, 6)
    taps = np.exp(-(offsets**2) / 4.5)
    window = np.einsum("i,j,k->ijk", taps, taps, taps)
    window /= window.sum()
    r, s = (np.pad(each[0].double().numpy(), 5, mode="edge") for each in (restored, sharp))
    similarities = []
    for place in np.ndindex(3, 12, 13):
        cut = tuple(slice(start, start + 11) for start in place)
        mean_r, mean_s = (window * r[cut]).sum(), (window * s[cut]).sum()
        variances = (window * ((r[cut] - mean_r) ** 2 + (s[cut] - mean_s) ** 2)).sum()
        covariance = (window * (r[cut] - mean_r) * (s[cut] - mean_s)).sum()
        similarity = (2 * mean_r * mean_s + 1e-4) * (2 * covariance + 9e-4)
        similarities.append(similarity / ((mean_r**2 + mean_s**2 + 1e-4) * (variances + 9e-4)))
    assert ssim_volumetric(restored, sharp).item() == pytest.approx(np.mean(similarities), abs=1e-5)


def test_float32_is_enough_where_a_frame_is_flat_and_bright():
    sharp = torch.full((1, 3, 64, 64), 250 / 255) + torch.linspace(0, 5, 64) / 255
    restored = (sharp + 1 / 255).clamp(max=1)
    for similarity in (ssim, ssim_volumetric):
        exact = similarity(restored.double(), sharp.double()).item()
        assert similarity(restored, sharp).item() == pytest.approx(exact, abs=5e-5)
