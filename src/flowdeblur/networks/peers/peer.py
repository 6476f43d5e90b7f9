"""The form that all peers share: frames are checked, padded, restored and cropped."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.networks.blocks import downsample
from flowdeblur.networks.initialization import pytorch_defaults
from flowdeblur.types import Restoration


class Peer(nn.Module):
    """Base of the published networks that this suite compares with.

    Args:
        frame_offsets: frames that are read, relative to the one to restore.
        padding: how frames are padded at the right and bottom to multiples of ``stride``, a mode of
            :func:`torch.nn.functional.pad`: ``replicate``, or ``constant`` (zeros).
    """

    stride: int = 1
    """Height and width inside the network are multiples of this."""
    smallest: int = 1
    """Smallest height and width inside the network."""
    flow_offsets: tuple[int, ...] = ()

    def __init__(self, *, frame_offsets: Sequence[int] = (0,), padding: str = "replicate") -> None:
        super().__init__()
        if 0 not in frame_offsets:
            raise ValueError(f"frame_offsets must include 0, got {tuple(frame_offsets)}")
        self.frame_offsets = tuple(frame_offsets)
        self.current_index = self.frame_offsets.index(0)
        self.padding = padding

    def forward(self, frames: Tensor, *, keep_rnn_weights: bool = False) -> Restoration:
        """Restore the frame at offset 0.

        Args:
            frames: (B, T, 3, H, W), RGB in [0, 1], in the order of ``frame_offsets``; any H and W
                from 1.
            keep_rnn_weights: whether ``Restoration.rnn_weights`` is needed.

        Raises:
            ValueError: ``frames`` has another shape.
        """
        count = len(self.frame_offsets)
        if frames.ndim != 5 or frames.shape[1:3] != (count, 3):
            raise ValueError(
                f"expected frames (B, {count}, 3, H, W) for the offsets {self.frame_offsets}, "
                f"got {tuple(frames.shape)}"
            )
        height, width = frames.shape[-2:]
        padded = F.pad(
            frames.flatten(1, 2),
            (0, self._padded(width) - width, 0, self._padded(height) - height),
            mode=self.padding,
        )
        padded = padded.view(len(frames), count, 3, *padded.shape[-2:])
        output = self.restore(padded, keep_rnn_weights=keep_rnn_weights)
        return output._replace(restored=output.restored[..., :height, :width])

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """Restore padded frames: :meth:`forward` for sizes that fit."""
        raise NotImplementedError

    def initialize(self, generator: torch.Generator) -> None:
        """Draw initial weights as the authors do; the base class uses PyTorch's defaults."""
        pytorch_defaults(self, generator)

    def _padded(self, side: int) -> int:
        return max(-(-side // self.stride) * self.stride, self.smallest)


class ResidualBlock(nn.Module):
    """x + C(relu(C x)), with nothing after the sum.

    Args:
        channels: of input and output.
        kernel: size of both convolutions.
    """

    def __init__(self, channels: int, kernel: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        residual: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + residual


def pyramid(image: Tensor, levels: int) -> list[Tensor]:
    """Halve an image ``levels - 1`` times by an antialiased bicubic filter on the half-pixel grid.

    Args:
        image: (B, C, H, W), H and W multiples of 2^(levels - 1).
        levels: of the result.

    Returns:
        The images, coarse to fine; the last is ``image``.
    """
    smaller = [
        downsample(image.float(), 1 << level).to(image.dtype) for level in range(levels - 1, 0, -1)
    ]
    return [*smaller, image]


def double(x: Tensor) -> Tensor:
    """Double the size of (B, C, H, W), bilinear, on the half-pixel grid."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
