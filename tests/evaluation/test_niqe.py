"""NIQE against a second implementation, in NumPy and SciPy, and its order on photographs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from scipy.ndimage import correlate1d, gaussian_filter
from scipy.optimize import brentq
from scipy.special import gamma

from flowdeblur.cli import main
from flowdeblur.errors import UserError
from flowdeblur.evaluation.niqe import NIQE, Naturalness, block_features
from flowdeblur.evaluation.sharpness import Sharpness
from flowdeblur.video.images import write_image


def halved(image, axis):
    """Bicubic, antialiased: the kernel is as wide as 8 pixels; outer ones repeat by weight."""
    size = image.shape[axis]
    positions = 2 * np.arange(size // 2) + 0.5
    x = np.abs(positions[:, None] - np.arange(size)) / 2
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    weights /= weights.sum(1, keepdims=True)
    return np.moveaxis(np.tensordot(weights, image, (1, axis)), 0, axis)


def fitted(x):
    left, right = np.sqrt(np.mean(x[x < 0] ** 2)), np.sqrt(np.mean(x[x > 0] ** 2))
    g = left / right
    wanted = np.abs(x).mean() ** 2 / (x**2).mean() * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    a = brentq(lambda a: gamma(2 / a) ** 2 / gamma(1 / a) / gamma(3 / a) - wanted, 0.2, 10)
    width = np.sqrt(gamma(1 / a) / gamma(3 / a))
    return a, (right - left) * width * gamma(2 / a) / gamma(1 / a), left * width, right * width


def features(image, block):
    offsets = np.arange(-3, 4)
    taps = np.exp(-(offsets**2) / (2 * (7 / 6) ** 2))
    taps /= taps.sum()

    def smooth(x):
        return correlate1d(correlate1d(x, taps, 0, mode="nearest"), taps, 1, mode="nearest")

    mean = smooth(image)
    normal = (image - mean) / (np.sqrt(np.abs(smooth(image**2) - mean**2)) + 1)
    rows = []
    for top in range(0, image.shape[0], block):
        for left in range(0, image.shape[1], block):
            part = normal[top : top + block, left : left + block]
            a, _, low, high = fitted(part.ravel())
            row = [a, (low + high) / 2]
            for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                row += fitted((part * np.roll(part, shift, (0, 1))).ravel())
            rows.append(row)
    return np.array(rows)


def oracle(image, natural):
    luma = image.astype(np.float64) @ (0.299, 0.587, 0.114)
    half = halved(halved(luma, 0), 1)
    found = np.hstack([features(luma, 96), features(half, 48)])
    covariance = (np.cov(found.T) + natural.covariance.numpy()) / 2
    difference = found.mean(0) - natural.mean.numpy()
    return np.sqrt(difference @ np.linalg.pinv(covariance) @ difference)


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1).double()[None] / 255


@pytest.fixture(scope="module")
def photograph():
    return skimage.data.coffee()[100:292, 60:348]  # 2 x 3 blocks; not among those fitted


def test_niqe_is_that_of_a_second_implementation(photograph):
    natural = Naturalness.read(Path(str(files("flowdeblur.evaluation") / "niqe.safetensors")))
    assert NIQE()(tensor(photograph)).item() == pytest.approx(oracle(photograph, natural), rel=1e-6)


@pytest.mark.parametrize("name", ["coffee", "chelsea"])  # the default was fitted without them
def test_sharp_photographs_are_more_natural_than_blurred_or_noisy_ones(name):
    photograph = getattr(skimage.data, name)()
    noise = np.random.default_rng(0).normal(size=photograph.shape)
    blurred = [gaussian_filter(photograph.astype(float), (s, s, 0)) for s in (1, 2)]
    noisy = [(photograph + s * noise).clip(0, 255) for s in (5, 15)]
    batch = torch.cat([tensor(np.asarray(x)) for x in (photograph, *blurred, *noisy)])
    sharp, soft, softer, grainy, grainier = NIQE()(batch).tolist()
    assert sharp < soft < softer
    assert sharp < grainy < grainier
    assert torch.argsort(Sharpness()(batch[:3])).tolist() == [2, 1, 0]


def test_frames_that_are_too_small_are_named():
    with pytest.raises(UserError, match="100x95 pixels are too small: NIQE needs 96x96"):
        NIQE()(torch.rand(1, 3, 95, 100))
    assert torch.isfinite(NIQE()(torch.rand(1, 3, 96, 100))).all()
    assert torch.isfinite(NIQE()(torch.full((1, 3, 96, 96), 0.5))).all()


def test_the_command_fits_images_of_the_user(tmp_path, capsys):
    for number in range(2):
        noise = np.random.default_rng(number).normal(size=(240, 300, 3))
        image = 128 + 400 * gaussian_filter(noise, (1, 1, 0))
        (tmp_path / "photos").mkdir(exist_ok=True)
        write_image(tmp_path / "photos" / f"{number}.png", image.clip(0, 255).astype(np.uint8))
    out = tmp_path / "mine.safetensors"
    assert main(["data", "niqe", str(out), str(tmp_path / "photos")]) == 0
    assert "parameters of NIQE, of 2 images" in capsys.readouterr().out
    found = Naturalness.read(out)
    images = [
        tensor(skimage.io.imread(each))[0] for each in sorted((tmp_path / "photos").iterdir())
    ]
    chosen = []
    for image in images:
        values, sharpness = block_features(image.float(), 48)
        chosen.append(values[sharpness > 0.75 * sharpness.max()].numpy())
    assert np.allclose(found.covariance.numpy(), np.cov(np.concatenate(chosen).T), atol=1e-9)
    assert main(["data", "niqe", str(out), str(tmp_path / "photos" / "0.png")]) == 2
    assert "only 20 sharp blocks" in capsys.readouterr().err


def test_parameters_of_something_else_are_named(tmp_path):
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match=r"wrong\.safetensors: has no parameters of NIQE"):
        NIQE(path)
