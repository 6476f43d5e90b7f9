"""Geometric and color augmentation: one draw for all frames of a sample and for its flow.

A transform is called with a sample and a random generator; the flow turns with the image. A
sample has full size, possibly as a view of a mapped file; the crop is the first transform and reads
only the pixels that it keeps. Kornia's transforms work on batches of patches and do not transform
flow vectors.

The paper's "crop, resize, rotate, scale" are :class:`TurnedCrop` (a factor for resize and scale, an
angle), its color permutation is :class:`ColorPermutation`. Shrinking (:class:`ShrunkCrop`),
mirroring (:class:`Dihedral`) and reversed time (``time_reversal`` of the data module: another
source of frames, not a transform, because a sample does not hold the previous frame) are common in
the field.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.types import Sample

Transform = Callable[[Sample, np.random.Generator], Sample]


class Crop:
    """Cut a random window of ``size`` (H, W)."""

    def __init__(self, size: Sequence[int]) -> None:
        self.height, self.width = size

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Crop ``sample``."""
        height, width = sample["sharp"].shape[-2:]
        _demand(sample, self.height, self.width)
        top = int(rng.integers(height - self.height + 1))
        left = int(rng.integers(width - self.width + 1))
        window = (..., slice(top, top + self.height), slice(left, left + self.width))
        return _map(sample, lambda x: x[window])


class ShrunkCrop:
    """Cut a random window out of the image as a camera with fewer pixels would show it.

    One clip then gives blur of many lengths. Images are shrunk by an antialiased bicubic filter,
    flow by the mean of what a pixel covers; a point is visible where all of that is.

    Args:
        size: (H, W) of the result.
        scale: range of the factor, at most 1, drawn log-uniformly; for a small image the smallest
            factor at which the window fits.
        lines: range of the height that the whole image is shrunk to, in pixels, instead of
            ``scale``: where sources differ in size, it is the height that their blur goes with. An
            image with fewer lines keeps its size.

    Raises:
        UserError: ``scale`` or ``lines`` is no such range.
    """

    def __init__(
        self,
        size: Sequence[int],
        scale: tuple[float, float] = (0.25, 1.0),
        lines: tuple[int, int] | None = None,
    ) -> None:
        self.height, self.width = size
        self.scale, self.lines = scale, lines
        if not 0 < scale[0] <= scale[1] <= 1:
            raise UserError(f"data.crop.scale={list(scale)} must ascend, above 0 and at most 1")
        if lines and not 0 < lines[0] <= lines[1]:
            raise UserError(f"data.crop.lines={list(lines)} must ascend, above 0")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Cut a larger window out of ``sample``, and shrink it."""
        _demand(sample, self.height, self.width)
        rows, columns = sample["sharp"].shape[-2:]
        low, high = (min(n / rows, 1) for n in self.lines) if self.lines else self.scale
        drawn = float(np.exp(rng.uniform(*np.log((low, high)))))
        scale = max(drawn, self.height / rows, self.width / columns)
        window = (round(self.height / scale), round(self.width / scale))
        result = _map(Crop(window)(sample, rng), self._shrink)
        if "flow" in result:
            vectors = torch.unflatten(result["flow"], 0, (-1, 2))
            factors = torch.tensor((self.width / window[1], self.height / window[0]))
            result["flow"] = (vectors * factors[:, None, None]).flatten(0, 1)
        return result

    def _shrink(self, image: Tensor) -> Tensor:
        size = (self.height, self.width)
        if image.dtype == torch.uint8:  # six times as fast by three planes as by nine
            images = image.reshape(-1, 3, *image.shape[-2:])
            small = F.interpolate(images, size, mode="bicubic", antialias=True)
        else:
            planes = image.reshape(1, -1, *image.shape[-2:])
            small = F.interpolate(planes.float(), size, mode="area")
        return (small if image.dtype != torch.bool else small > 0.999).reshape(
            *image.shape[:-2], *size
        )


class TurnedCrop:
    """Cut a random window that is rotated and resized, in one bilinear sampling.

    The paper's "crop, resize, rotate, scale" without its numbers; the ranges are ours.

    Args:
        size: (H, W) of the result.
        scale: range of the factor by which the image is enlarged, drawn log-uniformly.
        degrees: rotation is drawn uniformly from -degrees .. degrees.

    Raises:
        UserError: ``scale`` is no such range.
    """

    def __init__(
        self, size: Sequence[int], scale: tuple[float, float] = (0.8, 1.25), degrees: float = 15.0
    ) -> None:
        self.height, self.width = size
        self.scale, self.degrees = scale, degrees
        if not 0 < scale[0] <= scale[1]:
            raise UserError(f"data.crop.scale={list(scale)} must ascend, above 0")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Cut a window out of ``sample``, inside the image wherever one fits."""
        height, width = sample["sharp"].shape[-2:]
        _demand(sample, self.height, self.width)
        scale = float(np.exp(rng.uniform(*np.log(self.scale))))
        angle = math.radians(rng.uniform(-self.degrees, self.degrees))
        where = rng.uniform(-1, 1, size=2)
        cos, sin = math.cos(angle), math.sin(angle)
        # The window's bounding box must fit: a larger factor shrinks it.
        reach_x = (abs(cos) * self.width + abs(sin) * self.height) / 2
        reach_y = (abs(sin) * self.width + abs(cos) * self.height) / 2
        scale = max(scale, 2 * reach_x / width, 2 * reach_y / height)
        center = torch.tensor(
            [
                (width - 1) / 2 + where[0] * (width / 2 - reach_x / scale),
                (height - 1) / 2 + where[1] * (height / 2 - reach_y / scale),
            ],
            dtype=torch.float32,
        )
        # The point center + q of the image moves to the window's middle + turn q.
        turn = scale * torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float32)
        positions = _positions((self.height, self.width), center, turn)
        # Of full-size frames, possibly in a mapped file, only what the window sees is touched.
        first = positions.amin((0, 1)).floor().long().clamp(min=0)
        last = torch.minimum(
            positions.amax((0, 1)).ceil().long(), torch.tensor((width, height)) - 1
        )
        (left, top), (right, bottom) = first.tolist(), last.tolist()
        grid = 2 * (positions - first) / (last - first).clamp(min=1) - 1

        def cut(image: Tensor) -> Tensor:
            region = image[..., top : bottom + 1, left : right + 1]
            planes = region.reshape(1, -1, *region.shape[-2:]).float()
            window = F.grid_sample(
                planes, grid[None], padding_mode="border", align_corners=True
            ).reshape(*image.shape[:-2], self.height, self.width)
            return window if image.is_floating_point() else window.round().to(image.dtype)

        result = _map(sample, cut)
        if "flow" in result:
            vectors = torch.unflatten(result["flow"], 0, (-1, 2))
            result["flow"] = torch.einsum("ij,njhw->nihw", turn, vectors).flatten(0, 1)
        return result


class Dihedral:
    """Mirror and turn by quarters.

    One of the eight symmetries of the square is drawn, one of four where H and W differ.
    """

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Flip left and right, top and bottom, and exchange the axes, each in half of the draws."""
        horizontal, vertical, transposed = rng.integers(2, size=3).astype(bool)
        height, width = sample["sharp"].shape[-2:]
        if horizontal:
            sample = _mirror(sample, axis=-1)
        if vertical:
            sample = _mirror(sample, axis=-2)
        if transposed and height == width:
            sample = _map(sample, lambda x: x.transpose(-1, -2))
            if "flow" in sample:
                vectors = torch.unflatten(sample["flow"], 0, (-1, 2))
                sample["flow"] = vectors.flip(1).flatten(0, 1)
        return sample


class ColorPermutation:
    """Exchange red, green and blue at random."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Permute the channels of all frames alike."""
        order = torch.from_numpy(rng.permutation(3))
        result = sample.copy()
        result["frames"], result["sharp"] = sample["frames"][:, order], sample["sharp"][order]
        return result


def _positions(size: tuple[int, int], center: Tensor, turn: Tensor) -> Tensor:
    """Positions of a turned window's pixels in the image: (H, W, 2), (x, y) in pixels."""
    height, width = size
    back = torch.linalg.inv(turn)
    x = torch.arange(width) - (width - 1) / 2
    y = torch.arange(height) - (height - 1) / 2
    positions: Tensor = center + x[None, :, None] * back[:, 0] + y[:, None, None] * back[:, 1]
    return positions


def _map(sample: Sample, transform: Callable[[Tensor], Tensor]) -> Sample:
    """Apply ``transform`` to everything that has pixels."""
    result = sample.copy()
    result["frames"], result["sharp"] = transform(sample["frames"]), transform(sample["sharp"])
    if "flow" in sample:
        result["flow"] = transform(sample["flow"])
    if "visible" in sample:
        result["visible"] = transform(sample["visible"])
    return result


def _mirror(sample: Sample, axis: int) -> Sample:
    result = _map(sample, lambda x: x.flip(axis))
    if "flow" in result:
        component = 0 if axis == -1 else 1
        flow = torch.unflatten(result["flow"], 0, (-1, 2)).clone()
        flow[:, component] *= -1
        result["flow"] = flow.flatten(0, 1)
    return result


def _demand(sample: Sample, height: int, width: int) -> None:
    have = tuple(sample["sharp"].shape[-2:])
    if have[0] < height or have[1] < width:
        raise UserError(
            f"data.patch is {height}x{width} pixels, but {sample['key']} has only "
            f"{have[0]}x{have[1]}; choose a smaller data.patch"
        )
