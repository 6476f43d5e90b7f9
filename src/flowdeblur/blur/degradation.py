"""What a camera does to the averaged light: noise before the response, compression after it."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

READ_NOISE = 0.1
"""Noise at black as a share of the shot noise at white."""


def add_noise(light: Tensor, noise: float, random: np.random.Generator) -> Tensor:
    """Add the noise of a sensor, of variance noise^2 (light + 0.1^2).

    Shot noise grows with the light, read noise does not.

    Args:
        light: (..., 3, H, W) linear light.
        noise: standard deviation of the shot noise at white; 0 for none.
        random: source of the noise.
    """
    white = torch.from_numpy(random.standard_normal(tuple(light.shape), dtype=np.float32))
    return light + noise_deviation(light, noise) * white


def noise_deviation(light: Tensor, noise: float) -> Tensor:
    """Standard deviation of :func:`add_noise`, for light of any shape."""
    return noise * (light + READ_NOISE**2).sqrt()


def expand_highlights(light: Tensor, gain: float) -> Tensor:
    """Restore light that the camera has clipped: pixels near white become ``gain`` times as bright.

    Averaged over an exposure and clipped again, they leave the bright streaks of real blur
    (Rim et al., ECCV 2022). The gain rises smoothly from 1 at 0.9 of white to ``gain`` at white.

    Args:
        light: (3, H, W) linear light in [0, 1].
        gain: at white; 1 changes nothing.

    Example:
        >>> light = torch.tensor([0.5, 1.0]).expand(3, 1, 2)
        >>> expand_highlights(light, gain=4.0)[0, 0].tolist()
        [0.5, 4.0]
    """
    excess = ((light.amax(0) - 0.9) / 0.1).clamp(0, 1)
    return light * (1 + (gain - 1) * excess * excess * (3 - 2 * excess))


def compress(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """An image (H, W, 3) after JPEG compression with chroma at half size (4:2:0).

    Example:
        >>> compress(np.full((16, 16, 3), 128, np.uint8), quality=50).shape
        (16, 16, 3)
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=2)
    return np.array(Image.open(file))
