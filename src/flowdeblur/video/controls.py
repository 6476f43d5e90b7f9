"""What a user chooses about a restoration, and how it is applied to a frame."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.networks.ensemble import check_size
from flowdeblur.networks.scales import FULL, Scales
from flowdeblur.video.clip import FrameReader

BLUR_THRESHOLD_PX = 3.0
"""What ``--only-blurry`` takes for sharp without a threshold of its own.

Sharp frames of REDS, DAVIS and GoPro clips are estimated at 0.1 to 2 px, their blurry
counterparts at 1 to 12 px."""

_RANGE = re.compile(r"(?:(\d+(?:\.\d+)?)(s?))?-(?:(\d+(?:\.\d+)?)(s?))?")
_GRAIN_LIMIT = 3.0  # in standard deviations of the noise
_EDGE_LIMIT = 1.5  # the same, of gradients above which details are edges, not grain


@dataclass(frozen=True, slots=True)
class FrameRange:
    """A part of a clip, in seconds or in frames.

    Attributes:
        start: first frame, counted from 0, or time in seconds.
        end: last frame, or the time before which frames are in the range; None for the clip's end.
        in_seconds: whether both are times.
    """

    start: Fraction
    end: Fraction | None
    in_seconds: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``10s-25s``, ``1.5s-``, ``100-250`` or ``-250``.

        Raises:
            UserError: the text is none of these, or ends before it starts.
        """
        match = _RANGE.fullmatch(text.strip())
        start, start_unit, end, end_unit = match.groups() if match else (None,) * 4
        units = {unit for unit, value in ((start_unit, start), (end_unit, end)) if value}
        whole = "s" in units or not any("." in each for each in (start, end) if each)
        if len(units) != 1 or not whole:
            raise UserError(
                f"--range {text}: write seconds as 10s-25s or frames as 100-250; "
                "either end may be left out"
            )
        found = cls(Fraction(start or 0), Fraction(end) if end else None, "s" in units)
        empty = found.end is not None and (
            found.end <= found.start if found.in_seconds else found.end < found.start
        )
        if empty:
            raise UserError(f"--range {text}: ends before it starts")
        return found

    def covers(self, index: int, time: Fraction) -> bool:
        """Whether the frame with this number and time in seconds is in the range."""
        if self.in_seconds:
            return self.start <= time and (self.end is None or time < self.end)
        return self.start <= index and (self.end is None or index <= self.end)

    def check_end(self, path: Path, count: int, last: Fraction) -> None:
        """Check the range after reading a clip of ``count`` frames, the last at ``last`` seconds.

        Raises:
            UserError: the range starts beyond the clip.
        """
        if self.start > last if self.in_seconds else self.start >= count:
            raise UserError(f"--range: reaches beyond the clip {path}, which has {count} frames")

    def check(self, reader: FrameReader) -> None:
        """Check the range against the length of a clip, where that is known.

        Raises:
            UserError: the range reaches beyond the clip.
        """
        count = reader.count or reader.expected
        if count is None:
            return
        length = count / reader.format.rate if self.in_seconds else Fraction(count)
        last = self.start if self.end is None else self.end
        beyond = self.start >= length or (last > length if self.in_seconds else last >= length)
        if beyond:
            raise UserError(
                f"--range: reaches beyond the clip {reader.path}, which has {count} frames "
                f"(0 to {count - 1}), {float(count / reader.format.rate):.2f} s"
            )


@dataclass(frozen=True, slots=True)
class FrameNumbers:
    """Frames by their number from 0."""

    numbers: frozenset[int]

    def covers(self, index: int, time: Fraction) -> bool:
        """Whether the frame with this number is among them."""
        return index in self.numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """How frames are restored.

    Attributes:
        scale: scales to restore at, or what chooses them, see
            :func:`flowdeblur.networks.inference.infer`.
        ensemble: number of mirrored and turned views to take the mean of, see there.
        strength: 0 keeps the input, 1 takes the restored frame, between them a blend.
        only_blurry: frames whose estimated blur is below this many pixels pass through; None
            restores all.
        keep_grain: whether the input's fine noise is put back.
        range: frames outside it pass through; None restores all.
        measure_blur: whether the blur of every frame is estimated, even where no choice needs it.
        cuts: whether no frame is restored with a frame of another shot.

    Raises:
        UserError: a value is out of range.
    """

    scale: Scales | Callable[[Tensor], Scales] = FULL
    ensemble: int = 1
    strength: float = 1.0
    only_blurry: float | None = None
    keep_grain: bool = False
    range: FrameRange | FrameNumbers | None = None
    measure_blur: bool = False
    cuts: bool = True

    def __post_init__(self) -> None:
        check_size(self.ensemble, "--ensemble ")
        if not 0 <= self.strength <= 1:
            raise UserError(f"--strength {self.strength:g}: must be from 0 to 1")
        if self.only_blurry is not None and not 0 <= self.only_blurry < float("inf"):
            raise UserError(f"--only-blurry {self.only_blurry:g}: must be pixels, 0 or more")

    def finish(self, before: Tensor, restored: Tensor) -> Tensor:
        """Apply grain and strength to a restored frame; both (3, H, W)."""
        if self.keep_grain:
            restored = restored + grain(before.clamp(0, 1), restored)
        # Values beyond [0, 1], which the network does not see, are kept; those that it makes would
        # be cut off anyway, and must not weigh more in a blend than they are seen.
        seen = restored.clamp(0, 1) + (before - before.clamp(0, 1))
        return torch.lerp(before, seen, self.strength)


def grain(before: Tensor, restored: Tensor) -> Tensor:
    """The fine noise of a frame that its restoration lacks, (3, H, W).

    Where the restored frame is smooth, fine details of the input are noise; along edges they are
    blur. So the difference of fine details counts the less the steeper the restored frame is.

    Args:
        before: (3, H, W) in [0, 1].
        restored: the same.
    """
    smooth = _smoothed(restored)
    fine_before, fine_after = before - _smoothed(before), restored - smooth
    deviation = 1.4826 * fine_before.abs().median()
    steps = F.pad(smooth, (0, 1, 0, 1), mode="replicate")
    slope = (steps[:, :-1, 1:] - smooth).square() + (steps[:, 1:, :-1] - smooth).square()
    slope = _smoothed(_smoothed(slope.mean(0, keepdim=True))).clamp(min=0).sqrt()
    weight = torch.exp(-((slope / (_EDGE_LIMIT * deviation).clamp(min=1e-6)) ** 2))
    limit = _GRAIN_LIMIT * deviation
    return weight * torch.maximum(torch.minimum(fine_before - fine_after, limit), -limit)


def _smoothed(image: Tensor) -> Tensor:
    """Binomial 5x5 filter of (C, H, W)."""
    kernel = image.new_tensor([1, 4, 6, 4, 1]) / 16
    channels = len(image)
    weight = torch.outer(kernel, kernel).expand(channels, 1, 5, 5)
    mode = "reflect" if min(image.shape[-2:]) > 2 else "replicate"
    return F.conv2d(F.pad(image[None], (2, 2, 2, 2), mode=mode), weight, groups=channels)[0]
