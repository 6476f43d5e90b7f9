"""The camera's response: from the light on the sensor to the values of an image, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.errors import UserError

GAMMA = 2.2
"""Display value = light ^ (1 / 2.2), as in the field's synthesized data sets, where the response of
the camera is not known."""


def to_8_bit(light: Tensor) -> Tensor:
    """Display values (uint8) of linear light of any shape, saturated at black and white.

    Example:
        >>> to_8_bit(torch.tensor([0.0, 0.5, 1.0, 2.0])).tolist()
        [0, 186, 255, 255]
    """
    return (light.clamp(0, 1) ** (1 / GAMMA) * 255).round().to(torch.uint8)


@dataclass(frozen=True, eq=False)
class ResponseCurve:
    """Linear light of every 8-bit value. Blur is an average of light, not of values.

    Attributes:
        levels: (3, 256) float32, light of the values 0 .. 255 in red, green and blue, ascending, at
            most 1.
        thresholds: (3, 255) float32, the light from which on a value is rounded up to the next.
    """

    levels: Tensor
    thresholds: Tensor

    @classmethod
    def gamma(cls, exponent: float = GAMMA) -> Self:
        """Light = (value / 255) ^ exponent."""
        values = np.arange(511) / 510  # every value, and the middle between it and the next
        return cls._of(np.tile(values**exponent, (3, 1)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a measured curve: text with 256 lines, for the values 0 .. 255.

        A line holds the light for all channels, or three numbers for red, green and blue, in any
        unit. Comments begin with #.

        Raises:
            UserError: the file is missing, or not such a curve.
        """
        try:
            table = np.loadtxt(path, ndmin=2, dtype=np.float64)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
        except ValueError:
            raise UserError(
                f"{path}: is not a table of numbers; write 256 lines of one or three numbers"
            ) from None
        if table.shape not in ((256, 1), (256, 3)):
            raise UserError(
                f"{path}: has {table.shape[0]} lines of {table.shape[1]} numbers; "
                "a response curve has 256 lines of one or three"
            )
        if not np.isfinite(table).all() or table.min() < 0 or (np.diff(table, axis=0) <= 0).any():
            raise UserError(f"{path}: light must rise from line to line, and not be below 0")
        curve = np.empty((3, 511))
        curve[:, ::2] = (table / table.max()).T
        curve[:, 1::2] = (curve[:, :-1:2] + curve[:, 2::2]) / 2
        return cls._of(curve)

    @classmethod
    def _of(cls, curve: NDArray[np.float64]) -> Self:
        even, odd = (torch.from_numpy(curve[:, first::2].copy()).float() for first in (0, 1))
        return cls(levels=even, thresholds=odd)

    def to_light(self, image: NDArray[np.uint8]) -> Tensor:
        """Turn values (H, W, 3) uint8 into light (3, H, W) float32."""
        curves = self.levels.numpy()
        return torch.from_numpy(np.stack([curves[c][image[..., c]] for c in range(3)]))

    def to_values(self, light: Tensor) -> NDArray[np.uint8]:
        """Turn light (3, H, W) into values (H, W, 3) uint8: saturated, and rounded as values."""
        planes = [
            torch.bucketize(plane.contiguous(), thresholds, out_int32=True, right=True).to(
                torch.uint8
            )
            for plane, thresholds in zip(light, self.thresholds, strict=True)
        ]
        return torch.stack(planes, dim=-1).numpy()
