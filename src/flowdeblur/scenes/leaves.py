"""Dead leaves: occluding random shapes with the statistics of natural images, in any number."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

COVERS = 6.0
"""Mean number of discs around leaves over a point. Leaves fill 0.6 of their discs in the mean, so
that exp(-3.6) = 3 % of the points see the ground, which has a color like a leaf."""

MEAN_LOG_INTENSITY = -1.6
INTENSITY_SPREAD = 0.9
CHROMATIC_SPREADS = (0.25, 0.15)
"""Natural logarithms of linear light: standard deviations of a channel along gray, then along blue
to yellow and red to green. Natural images are close to normal in such axes, with spreads that
fall in this order (Ruderman, Cronin and Chiao 1998); the chromatic ones are wider here, for things
made by people."""


def dead_leaves(
    random: np.random.Generator, height: int, width: int, smallest: float, largest: float
) -> Tensor:
    """Render a dead-leaves image (Matheron's model; Lee, Mumford and Huang 2001).

    Ellipses and rounded rectangles with radii of density r^-3 cover one another in random order,
    each in one color, some with grain. The image wraps around at its borders, so that its
    statistics are the same everywhere.

    Args:
        random: source of randomness.
        height: rows.
        width: columns.
        smallest: radius of the smallest leaf, pixels.
        largest: radius of the largest leaf, pixels; cut down to a third of the shorter side.

    Returns:
        (3, height, width) float32, linear light in [0, 1].
    """
    largest = max(min(largest, min(height, width) / 3), 2 * smallest)
    mean_disc = 2 * np.pi * np.log(largest / smallest) / (smallest**-2 - largest**-2)
    count = int(np.ceil(COVERS * height * width / mean_disc))
    # The distribution of density r^-3, inverted.
    radii = (smallest**-2 - random.random(count) * (smallest**-2 - largest**-2)) ** -0.5
    front = _front_leaf(random, height, width, radii)
    colors = torch.from_numpy(_log_colors(random, count + 1)).float()
    grain = torch.from_numpy(random.uniform(-0.25, 0.35, count + 1).clip(min=0)).float()
    # One plane at a time: half the time of a gather of triples.
    log_light = torch.stack([color[front] for color in colors])
    return (log_light + pink_noise(random, height, width) * grain[front]).exp().clamp(max=1)


def pink_noise(random: np.random.Generator, height: int, width: int) -> Tensor:
    """Return Gaussian noise (height, width) of amplitude 1/f, mean 0 and variance 1, float32."""
    white = torch.from_numpy(random.standard_normal((height, width), dtype=np.float32))
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    frequency[0, 0] = torch.inf
    noise = torch.fft.irfft2(torch.fft.rfft2(white) / frequency, s=(height, width))
    return torch.div(noise, noise.std())


def _log_colors(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw the logarithms of ``count`` colors of one place, (3, count).

    The place has its own light and palette: a fifth of the variance of the intensity and half of
    that of the colors are common to all its leaves.
    """
    axes = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3.0], [6.0], [2.0]])
    spreads = np.sqrt(3) * np.array((INTENSITY_SPREAD, *CHROMATIC_SPREADS))
    common = np.array((0.2, 0.5, 0.5))
    place = random.standard_normal(3) * spreads * np.sqrt(common)
    leaves = random.standard_normal((count, 3)) * spreads * np.sqrt(1 - common)
    logarithms: NDArray[np.float64] = MEAN_LOG_INTENSITY + ((place + leaves) @ axes).T
    return logarithms


def _front_leaf(
    random: np.random.Generator, height: int, width: int, radii: NDArray[np.float64]
) -> Tensor:
    """Return (height, width) int64: which leaf is in front, or len(radii) where there is none.

    A leaf's number is its depth. The leaves of one octave of sizes are scattered at once, in any
    order, because the smallest number wins: a few calls for thousands of leaves.
    """
    count = len(radii)
    centers = torch.from_numpy(random.random((count, 2)) * (height, width)).float()
    angles = torch.from_numpy(random.uniform(0, np.pi, count)).float()
    aspects = torch.from_numpy(random.uniform(0.4, 1, count)).float()
    rectangular = torch.from_numpy(random.random(count) < 0.5)
    sizes = torch.from_numpy(radii).float()
    octaves = sizes.log2().floor().long()
    front = torch.full((height * width,), count)
    for octave in set(octaves.tolist()):
        leaves = torch.nonzero(octaves == octave).flatten()
        reach = int(np.ceil(2.0 ** (octave + 1)))
        near = centers[leaves].floor().long()[:, :, None] + torch.arange(-reach, reach + 1)
        offsets = near - centers[leaves][:, :, None]
        y, x = offsets[:, 0, :, None], offsets[:, 1, None, :]
        cosine, sine = angles[leaves].cos()[:, None, None], angles[leaves].sin()[:, None, None]
        along = ((cosine * x + sine * y) / sizes[leaves, None, None]).square()
        across = ((cosine * y - sine * x) / (sizes * aspects)[leaves, None, None]).square()
        # |x|^8 + |y|^8 < 1 reaches 2^(1/2 - 1/8) = 1.30 into its corners; 1.30^2 draws them in.
        rectangle = (1.68 * along).square().square() + (1.68 * across).square().square()
        covered = torch.where(rectangular[leaves, None, None], rectangle, along + across) < 1
        pixels = (near[:, 0] % height)[:, :, None] * width + (near[:, 1] % width)[:, None, :]
        depths = leaves[:, None, None].expand_as(pixels)
        front.scatter_reduce_(0, pixels[covered], depths[covered], "amin")
    return front.reshape(height, width)
