from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import shift as scipy_shift
from skimage.color import rgb2ycbcr
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from flowdeblur.evaluation import OnLuma, ScaleAndShift, rounded, truncated, unquantized
from flowdeblur.evaluation.metrics import psnr, ssim
from flowdeblur.evaluation.pixels import luma


def frame(rows=slice(40, 140), columns=slice(100, 220)):
    image = astronaut()[rows, columns].astype(np.float32) / 255
    return torch.from_numpy(image).permute(2, 0, 1)


def test_rounding_and_truncation():
    values = torch.tensor([-0.2, 0.4 / 255, 0.6 / 255, 254.4 / 255, 254.6 / 255, 1.3])
    assert (rounded(values) * 255).tolist() == pytest.approx([0, 0, 1, 254, 255, 255])
    assert (truncated(values) * 255).tolist() == pytest.approx([0, 0, 0, 254, 254, 255])
    assert unquantized(values).tolist() == pytest.approx(values.clamp(0, 1).tolist())


@pytest.mark.parametrize("quantize", [unquantized, rounded, truncated])
def test_saved_images_stay_as_they_are(quantize):
    saved = torch.arange(256, dtype=torch.uint8).float() / 255
    assert torch.equal(quantize(saved), saved)


def test_luma_is_that_of_matlab():
    image = frame()
    expected = rgb2ycbcr(image.permute(1, 2, 0).double().numpy())[..., 0] / 255
    np.testing.assert_allclose(luma(image[None])[0, 0].numpy(), expected, atol=1e-6)


def test_scores_of_luma():
    sharp = frame()[None]
    restored = (
        sharp + 0.05 * torch.randn(sharp.shape, generator=torch.Generator().manual_seed(0))
    ).clamp(0, 1)
    one, other = (
        rgb2ycbcr(each[0].permute(1, 2, 0).numpy())[..., 0] / 255 for each in (restored, sharp)
    )
    expected = peak_signal_noise_ratio(other, one, data_range=1.0)
    assert OnLuma(psnr)(restored, sharp).item() == pytest.approx(expected, abs=1e-3)
    expected = structural_similarity(
        other, one, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert OnLuma(ssim)(restored, sharp).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("offset", [(0, 0), (3, -2), (-4, 5)])
def test_alignment_undoes_a_shift_and_a_change_of_brightness(offset):
    down, right = offset
    sharp = frame()
    moved = frame(slice(40 + down, 140 + down), slice(100 + right, 220 + right))
    aligned, masked = ScaleAndShift()(0.9 * moved, sharp)
    covered = scipy_shift(np.ones(sharp.shape[1:]), offset, order=0)
    assert torch.equal(masked, sharp * torch.from_numpy(covered).float())
    # The best scale depends on pixels that the shift moves out as well, hence the tolerance.
    torch.testing.assert_close(aligned, masked, atol=0.02, rtol=0)


def test_alignment_follows_its_definition():
    generator = torch.Generator().manual_seed(0)
    sharp = frame()
    restored = (
        0.8 * sharp.roll((1, 2), (1, 2)) + 0.02 * torch.rand(sharp.shape, generator=generator)
    ).clamp(0, 1)
    x, z = sharp.double().numpy(), restored.double().numpy()
    scaled = (x * z).sum() / (z * z).sum() * z
    spectrum = np.fft.fft2(x.mean(0)) * np.fft.fft2(scaled.mean(0)).conj()
    peak = np.unravel_index(np.abs(np.fft.ifft2(spectrum)).argmax(), x.shape[1:])
    offset = [p - n if p > n // 2 else p for p, n in zip(peak, x.shape[1:], strict=True)]
    assert offset == [-1, -2]
    expected = np.stack([scipy_shift(channel, offset, order=0) for channel in scaled])
    aligned, _ = ScaleAndShift()(restored, sharp)
    np.testing.assert_allclose(aligned.numpy(), expected, atol=1e-5)
