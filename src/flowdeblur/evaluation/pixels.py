"""What protocols do to frames before they compare them: 8 bits, luma, alignment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from skimage.registration import phase_cross_correlation
from torch import Tensor

Metric = Callable[[Tensor, Tensor], Tensor]
"""Scores restored (B, C, H, W) against sharp frames, in [0, 1]; returns (B,)."""

_WHITE = 255
_RESIDUE = 1e-4
"""Float32 may put a whole number of 8-bit steps up to 2e-5 below itself; truncation shall not."""


def unquantized(frame: Tensor) -> Tensor:
    """Keep the network's floating-point values, clamped to [0, 1]."""
    return frame.clamp(0, 1)


def rounded(frame: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to 8 bits, as a saved image is.

    Example:
        >>> rounded(torch.tensor([0.5, 1.2])).mul(255).tolist()
        [128.0, 255.0]
    """
    return (frame.clamp(0, 1) * _WHITE).round() / _WHITE


def truncated(frame: Tensor) -> Tensor:
    """Clamp to [0, 1] and cut to 8 bits, as a cast to an unsigned byte does.

    Example:
        >>> truncated(torch.tensor([0.5, 1.2])).mul(255).tolist()
        [127.0, 255.0]
    """
    return (frame.clamp(0, 1) * _WHITE + _RESIDUE).floor() / _WHITE


def luma(frame: Tensor) -> Tensor:
    """Luma Y' of ITU-R BT.601 in its limited range, as MATLAB's ``rgb2ycbcr``, not rounded.

    Args:
        frame: (B, 3, H, W), RGB in [0, 1].

    Returns:
        (B, 1, H, W) in [16 / 255, 235 / 255].

    Example:
        >>> white = torch.ones(1, 3, 1, 1)
        >>> round(luma(white).item() * 255, 1)
        235.0
    """
    red, green, blue = (frame[:, channel : channel + 1] for channel in range(3))
    return (65.481 * red + 128.553 * green + 24.966 * blue + 16) / _WHITE


@dataclass(frozen=True)
class OnLuma:
    """A metric of luma.

    Attributes:
        metric: compares luma (B, 1, H, W).
    """

    metric: Metric

    def __call__(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Compare luma."""
        return self.metric(luma(restored), luma(sharp))


@dataclass(frozen=True)
class ScaleAndShift:
    """Alignment of the benchmark of Koehler et al. (ECCV 2012), which Su et al. scored DVD with.

    The restored frame's brightness is scaled to fit the sharp frame best, then it is shifted by
    whole pixels, to the peak of the cross-correlation of the grey frames. What the shift leaves
    uncovered is 0 in both frames.
    """

    def __call__(self, restored: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
        """Align a frame.

        Args:
            restored: (3, H, W) in [0, 1].
            sharp: (3, H, W) in [0, 1].

        Returns:
            The restored frame scaled and shifted, and the sharp one, 0 where that is uncovered.
        """
        scale = (sharp * restored).sum() / (restored * restored).sum().clamp(min=1e-12)
        scaled = scale * restored
        grey = (frame.mean(0).cpu().numpy() for frame in (sharp, scaled))
        # Without normalization it is the cross-correlation, not the phase correlation.
        shift, _, _ = phase_cross_correlation(*grey, normalization=None)  # type: ignore[no-untyped-call]
        down, right = (int(each) for each in shift)
        covered = _shifted(torch.ones_like(sharp), down, right)
        return _shifted(scaled, down, right), sharp * covered


def _shifted(frame: Tensor, down: int, right: int) -> Tensor:
    """Shift by whole pixels and fill with 0."""
    height, width = frame.shape[-2:]
    result = torch.zeros_like(frame)
    result[..., max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = (
        frame[..., max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)]
    )
    return result
