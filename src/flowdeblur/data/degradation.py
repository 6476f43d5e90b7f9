"""Degradations of single samples: what optics, sensor and codec do to a frame besides motion blur.

Like augmentation, they are drawn from (seed, epoch, index), once for all frames of a sample: a
camera keeps its optics, its exposure, its response, its noise level and its quality from frame to
frame. Only the noise itself differs. They come last, after the crop and after colours are permuted.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from kornia.filters import gaussian_blur2d
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.blur.degradation import compress, noise_deviation
from flowdeblur.blur.light import GAMMA
from flowdeblur.errors import UserError
from flowdeblur.types import Sample

Range = tuple[float, float]

_STEPS = 4096


class SoftFocus:
    """Soften blurry and sharp frames alike, by a Gaussian: softness that is not motion blur stays.

    Args:
        share: share of the samples that are softened.
        sigma: range of the standard deviation, in pixels.

    Raises:
        UserError: a value is out of its range.
    """

    def __init__(self, share: float = 0.1, sigma: Range = (0.4, 1.2)) -> None:
        _require_share("SoftFocus.share", share)
        _require_range("SoftFocus.sigma", sigma, 0.01)
        self.share, self.sigma = share, sigma

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Soften ``sample``, or return it as it is."""
        if rng.random() >= self.share:
            return sample
        sigma = float(rng.uniform(*self.sigma))
        size = 2 * int(np.ceil(3 * sigma)) + 1
        images = torch.cat([sample["frames"], sample["sharp"][None]]).float()
        soft = gaussian_blur2d(images, (size, size), (sigma, sigma), "replicate")
        result = sample.copy()
        *frames, sharp = soft.round().to(torch.uint8)
        result["frames"], result["sharp"] = torch.stack(frames), sharp
        return result


class CameraDegradation:
    """Exposure, noise, response and compression of a camera.

    Values become linear light (gamma 2.2), the light of all frames is multiplied by one gain, and
    sensor noise of variance noise^2 (light + 0.1^2) is added to the blurry frames. All frames are
    clipped at white and become values again by a response of another exponent. Then the blurry
    frames are compressed as JPEG with 4:2:0 chroma. So the sharp frame shows the scene at the same
    exposure and by the same response, without noise and without compression.

    Args:
        share: share of the samples that are degraded; the others stay as they are.
        gain: range of the exposure gain, drawn log-uniformly; above 1 highlights are clipped.
        noise: range of the noise's standard deviation at white, as a share of white.
        gamma: range of the exponent of the response: value = light ^ (1 / gamma).
        jpeg: range of the quality, 1 to 100.
        jpeg_share: share of the degraded samples that are compressed.

    Raises:
        UserError: a value is out of its range.
    """

    def __init__(
        self,
        share: float = 0.7,
        gain: Range = (0.7, 2.0),
        noise: Range = (0.0, 0.02),
        gamma: Range = (1.8, 2.6),
        jpeg: tuple[int, int] = (60, 95),
        jpeg_share: float = 0.5,
    ) -> None:
        _require_share("CameraDegradation.share", share)
        _require_share("CameraDegradation.jpeg_share", jpeg_share)
        _require_range("CameraDegradation.gain", gain, 0.01)
        _require_range("CameraDegradation.noise", noise, 0.0)
        _require_range("CameraDegradation.gamma", gamma, 0.5)
        _require_range("CameraDegradation.jpeg", jpeg, 1, 100)
        self.share, self.gain, self.noise, self.gamma = share, gain, noise, gamma
        self.jpeg, self.jpeg_share = jpeg, jpeg_share

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Degrade ``sample``, or return it as it is."""
        if rng.random() >= self.share:
            return sample
        gain = float(np.exp(rng.uniform(*np.log(self.gain))))
        noise, gamma = float(rng.uniform(*self.noise)), float(rng.uniform(*self.gamma))
        quality = int(rng.integers(*self.jpeg, endpoint=True))
        compressed = rng.random() < self.jpeg_share
        light = gain * (np.arange(256, dtype=np.float64) / 255) ** GAMMA
        frames = expose(sample["frames"].numpy(), light, noise, gamma, rng)
        if compressed:
            frames = np.stack(
                [compress(each.transpose(1, 2, 0), quality).transpose(2, 0, 1) for each in frames]
            )
        result = sample.copy()
        result["frames"] = torch.from_numpy(frames)
        result["sharp"] = _look_up(_response(light, gamma), sample["sharp"])
        return result


def expose(
    values: NDArray[np.uint8],
    light: NDArray[np.float64],
    noise: float,
    gamma: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Values of a noisy sensor: noise is added to the light of each pixel before the response.

    By tables, which take a fifth of the time of the same formulas on pixels.

    Args:
        values: images of any shape.
        light: (256,) linear light of each value.
        noise: standard deviation at white, as a share of white.
        gamma: exponent of the response.
        rng: source of the noise.
    """
    deviation = noise_deviation(torch.from_numpy(light), noise).numpy().astype(np.float32)
    noisy = rng.standard_normal(values.shape, dtype=np.float32)
    noisy *= deviation[values]
    noisy += light.astype(np.float32)[values]
    # Roots of the light, so that steps near black are fine: by less than a sixth of a value.
    np.clip(noisy, 0, 1, out=noisy)
    np.sqrt(noisy, out=noisy)
    noisy *= _STEPS - 1
    noisy += 0.5
    roots = np.arange(_STEPS) / (_STEPS - 1)
    return _response(roots**2, gamma)[noisy.astype(np.uint16)]


def _response(light: NDArray[np.float64], gamma: float) -> NDArray[np.uint8]:
    return np.round(255 * light.clip(0, 1) ** (1 / gamma)).astype(np.uint8)


def _look_up(table: NDArray[np.uint8], image: Tensor) -> Tensor:
    return torch.from_numpy(table[image.numpy()])


def _require_range(name: str, limits: Range, least: float, most: float = math.inf) -> None:
    low, high = limits
    if not least <= low <= high <= most:
        end = "" if most == math.inf else f" to {most:g}"
        raise UserError(f"{name}=[{low:g}, {high:g}]: must ascend, from {least:g}{end}")


def _require_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise UserError(f"{name}={share}: must be from 0 to 1")
