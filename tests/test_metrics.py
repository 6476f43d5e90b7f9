from __future__ import annotations

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from flowdeblur.metrics import end_point_error, psnr, ssim


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(3, 3, 48, 40, generator=generator)
    noise = torch.randn(sharp.shape, generator=generator) * torch.tensor([0.02, 0.1, 0.3]).view(
        3, 1, 1, 1
    )
    return sharp + noise, sharp


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


def test_scores_are_those_of_displayable_pictures():
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
