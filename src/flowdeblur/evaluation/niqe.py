"""NIQE: how natural a frame looks, without a reference.

Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal
Processing Letters 20(3), 2013. Locally normalized luma of natural images follows known families of
distributions; NIQE fits them in blocks and measures how far the fits are from those of sharp
images.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.files import write_bytes

BLOCK = 96
"""Side of a block in pixels, at full scale; half of it at the second scale."""

FEATURES = 36
_LUMA = (0.299, 0.587, 0.114)
_WINDOW, _SIGMA = 7, 7 / 6
_SHARP_SHARE = 0.75  # of the largest block sharpness of an image: blocks above it are fitted
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns: right, below, both diagonals
_SHAPES = torch.arange(0.2, 10.0005, 0.001, dtype=torch.float64)


class Naturalness(NamedTuple):
    """A multivariate Gaussian of block features.

    Attributes:
        mean: (36,) float64.
        covariance: (36, 36) float64.
    """

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of_features(cls, features: Tensor) -> Self:
        """Fit to the features of blocks (N, 36); one block has the covariance 0."""
        centred = features - features.mean(0)
        return cls(features.mean(0), centred.T @ centred / max(len(features) - 1, 1))

    @classmethod
    def of_sharp_images(cls, images: Iterable[Tensor]) -> Self:
        """Fit to the sharp blocks of sharp images, (3, H, W) in [0, 1] each.

        Blocks overlap by half, and count if their mean local deviation is above 0.75 of the largest
        of their image.

        Raises:
            UserError: there are fewer sharp blocks than features.
        """
        chosen = []
        for image in images:
            features, sharpness = block_features(image, stride=BLOCK // 2)
            chosen.append(features[sharpness > _SHARP_SHARE * sharpness.max()])
        count = sum(map(len, chosen))
        if count <= FEATURES:
            raise UserError(
                f"the images have only {count} sharp blocks of {BLOCK}x{BLOCK} pixels: NIQE needs "
                f"more than {FEATURES}; name more or larger images"
            )
        return cls.of_features(torch.cat(chosen))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that :meth:`write` has written.

        Raises:
            UserError: it is something else.
        """
        try:
            content = load_file(path)
            result = cls(content["mean"].double(), content["covariance"].double())
        except (OSError, SafetensorError, KeyError):
            raise UserError(
                f"{path}: has no parameters of NIQE; `flowdeblur data niqe OUT IMAGES` makes them"
            ) from None
        if result.mean.shape != (FEATURES,) or result.covariance.shape != (FEATURES, FEATURES):
            raise UserError(f"{path}: has parameters of another metric, not the 36 of NIQE")
        return result

    def write(self, path: Path) -> None:
        """Write the parameters as safetensors."""
        write_bytes(path, save(self._asdict()))

    def distance(self, other: Naturalness) -> float:
        """The distance between two Gaussians, Eq. 10 of the paper."""
        difference = self.mean - other.mean
        inverse = torch.linalg.pinv((self.covariance + other.covariance) / 2, hermitian=True)
        return float((difference @ inverse @ difference).clamp(min=0).sqrt())


class NIQE:
    """Distance of a frame's statistics to those of sharp photographs; needs no sharp frame.

    Range: 0 or more, sharp photographs of 400 lines about 5 to 10; lower is better. The default
    parameters are fitted on photographs of scikit-image, not those of the authors' release: compare
    values with the same parameters only. Noise and sharpening artefacts count, too, and small
    frames have few blocks: a frame of 96x96 has one.

    Args:
        parameters: a file written by ``flowdeblur data niqe``; None reads the default one.

    Raises:
        UserError: the file has no such parameters.
    """

    higher_is_better = False

    def __init__(self, parameters: Path | None = None) -> None:
        self._natural = _default() if parameters is None else Naturalness.read(Path(parameters))

    def __call__(self, restored: Tensor, sharp: Tensor | None = None) -> Tensor:
        """Score each frame (B, 3, H, W) -> (B,); H and W at least 96; ``sharp`` is not used."""
        features = (block_features(each)[0] for each in restored.clamp(0, 1))
        distances = [self._natural.distance(Naturalness.of_features(each)) for each in features]
        return restored.new_tensor(distances)


def block_features(image: Tensor, stride: int = BLOCK) -> tuple[Tensor, Tensor]:
    """Features of the blocks of an image at two scales, and how sharp the blocks are.

    Args:
        image: (3, H, W), RGB in [0, 1]; blocks are those that fit in, centred.
        stride: pixels between blocks, even.

    Returns:
        (N, 36) and (N,), float64 on the CPU.

    Raises:
        UserError: the image is smaller than a block.
    """
    height, width = image.shape[-2:]
    if min(height, width) < BLOCK:
        raise UserError(
            f"frames of {width}x{height} pixels are too small: NIQE needs {BLOCK}x{BLOCK}; "
            "leave it out"
        )
    rows, columns = (BLOCK + (side - BLOCK) // stride * stride for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    weights = torch.tensor(_LUMA, dtype=torch.float64)[:, None, None]
    luma = 255 * (image.cpu().double() * weights).sum(0)[None, None]
    luma = luma[..., top : top + rows, left : left + columns]
    half = F.interpolate(
        luma, (rows // 2, columns // 2), mode="bicubic", antialias=True, align_corners=False
    )
    (full, deviation), (coarse, _) = normalized(luma), normalized(half)
    features = torch.cat(
        [
            _features_of_blocks(_blocks(each, BLOCK // scale, stride // scale))
            for scale, each in ((1, full), (2, coarse))
        ],
        dim=1,
    )
    return features, _blocks(deviation, BLOCK, stride).mean((1, 2))


def normalized(luma: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract the local mean and divide by the local deviation + 1, Eq. 1 to 3 of the paper.

    Args:
        luma: (1, 1, H, W), levels of 255.

    Returns:
        Normalized luma and the local deviation, of the same shape.
    """
    offsets = torch.arange(_WINDOW, dtype=luma.dtype) - _WINDOW // 2
    taps = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    margin = [_WINDOW // 2] * 4
    # The variance of differences to the image's mean loses fewer digits.
    centred = luma - luma.mean()
    mean, square = (
        F.conv2d(F.pad(each, margin, mode="replicate"), kernel[None, None])
        for each in (centred, centred**2)
    )
    deviation = (square - mean**2).abs().sqrt()
    return (centred - mean) / (deviation + 1), deviation


def _blocks(image: Tensor, side: int, stride: int) -> Tensor:
    """Cut (1, 1, H, W) into blocks (N, side, side)."""
    return image[0, 0].unfold(0, side, stride).unfold(1, side, stride).reshape(-1, side, side)


def _features_of_blocks(blocks: Tensor) -> Tensor:
    """18 parameters of distributions: of the values, and of products of neighbours in a block."""
    shape, _, left, right = asymmetric_gaussian(blocks.flatten(1))
    features = [shape, (left + right) / 2]
    for down, right_by in _NEIGHBOURS:
        products = blocks * blocks.roll((down, right_by), (1, 2))  # wraps round, as in the release
        features += asymmetric_gaussian(products.flatten(1))
    return torch.stack(features, 1)


def asymmetric_gaussian(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fit an asymmetric generalized Gaussian by its moments (Lasmar et al. 2009).

    Args:
        values: (N, K).

    Returns:
        Shape, mean, left and right scale, (N,) each.
    """
    left, right = (_root_mean_square(values, side) for side in (values < 0, values > 0))
    ratio = left / right.clamp(min=1e-12)
    moments = values.abs().mean(1) ** 2 / values.square().mean(1).clamp(min=1e-24)
    moments = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = _shape_of(moments)
    width = ((1 / shape).lgamma() - (3 / shape).lgamma()).mul(0.5).exp()
    left, right = left * width, right * width
    mean = (right - left) * ((2 / shape).lgamma() - (1 / shape).lgamma()).exp()
    return shape, mean, left, right


def _root_mean_square(values: Tensor, where: Tensor) -> Tensor:
    return ((values**2 * where).sum(1) / where.sum(1).clamp(min=1)).sqrt()


def _shape_of(moments: Tensor) -> Tensor:
    """Invert ``gamma(2/a)^2 / (gamma(1/a) gamma(3/a))``, linearly between grid points."""
    grid = _ratios()
    place = torch.searchsorted(grid, moments).clamp(1, len(grid) - 1)
    below, above = grid[place - 1], grid[place]
    share = ((moments - below) / (above - below)).clamp(0, 1)
    return _SHAPES[place - 1] + share * (_SHAPES[place] - _SHAPES[place - 1])


@cache
def _ratios() -> Tensor:
    return (2 * (2 / _SHAPES).lgamma() - (1 / _SHAPES).lgamma() - (3 / _SHAPES).lgamma()).exp()


@cache
def _default() -> Naturalness:
    return Naturalness.read(Path(str(files("flowdeblur.evaluation") / "niqe.safetensors")))
