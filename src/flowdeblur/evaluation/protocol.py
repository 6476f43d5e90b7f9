"""A protocol: all that makes a score comparable with another one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.evaluation.frames import FrameRule
from flowdeblur.evaluation.scorer import AnyMetric, Scorer

_WINDOW = 11
"""Rows and columns that SSIM needs."""


def mean_of_frames(clips: Sequence[Sequence[float]]) -> float:
    """Average over all frames alike.

    Example:
        >>> mean_of_frames([[30.0], [20.0, 22.0]])
        24.0
    """
    return fmean(score for clip in clips for score in clip)


def mean_of_clips(clips: Sequence[Sequence[float]]) -> float:
    """Average over the frames of each clip, then over clips, so that short clips weigh as much.

    Example:
        >>> mean_of_clips([[30.0], [20.0, 22.0]])
        25.5
    """
    return fmean(fmean(clip) for clip in clips)


@dataclass(frozen=True)
class Protocol:
    """Which frames are scored, how they are prepared, by which metrics, and what is averaged.

    Attributes:
        frames: chooses frames of a clip.
        quantize: brings a restored frame to [0, 1] and to 8 bits, or not.
        metrics: by name.
        average: makes one number of the scores of all clips.
        multiple: rows and columns beyond a multiple of this are cut off, at the bottom and right.
        border: pixels that are then cut off at each side.
        align: brings the restored frame onto the sharp one before they are compared, if at all.
        count: frames of the published test set; None if the protocol is of no test set.
    """

    frames: FrameRule
    quantize: Callable[[Tensor], Tensor]
    metrics: Mapping[str, AnyMetric]
    average: Callable[[Sequence[Sequence[float]]], float]
    multiple: int = 1
    border: int = 0
    align: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    count: int | None = None

    def extended(self, metrics: Mapping[str, AnyMetric]) -> Protocol:
        """Add metrics; the protocol's own ones win, because their definition belongs to it."""
        return replace(self, metrics={**self.metrics, **metrics, **self.metrics})

    def score(self, restored: Tensor, sharp: Tensor) -> dict[str, float]:
        """Score one frame.

        Args:
            restored: (3, H, W), RGB in [0, 1].
            sharp: (3, H, W) in [0, 1].

        Returns:
            Scores by the names of ``metrics``; PSNR of equal frames is infinite. Metrics of
            successive frames are left out.

        Raises:
            UserError: too little of the frame is left to be scored.
        """
        return self.score_next(Scorer(self.metrics), "", restored, sharp)

    def score_next(
        self, scorer: Scorer, key: str, restored: Tensor, sharp: Tensor
    ) -> dict[str, float]:
        """Score the next frame of a clip; what is not defined for the frame is left out.

        Args:
            scorer: of the method and this protocol's ``metrics``.
            key: ``clip/frame``.
            restored: as for :meth:`score`.
            sharp: as for :meth:`score`.
        """
        restored, sharp = self.quantize(self._cut(restored)), self._cut(sharp)
        if self.align is not None:
            restored, sharp = self.align(restored, sharp)
        scores = {
            name: score.item() for name, score in scorer([key], restored[None], sharp[None]).items()
        }
        return {name: score for name, score in scores.items() if not math.isnan(score)}

    def _cut(self, frame: Tensor) -> Tensor:
        rows, columns = (size - size % self.multiple - self.border for size in frame.shape[-2:])
        if min(rows, columns) - self.border < _WINDOW:
            raise UserError(
                f"frames of {frame.shape[-1]}x{frame.shape[-2]} pixels are too small: SSIM needs "
                f"{_WINDOW}x{_WINDOW} after a border of {self.border} is cut off"
            )
        return frame[..., self.border : rows, self.border : columns]


def finite(score: float) -> float | None:
    """A score as JSON can hold it: PSNR of equal frames is infinite."""
    return score if math.isfinite(score) else None
