"""Metrics of single frames and of successive frames, applied to the frames of one method."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

FrameMetric = Callable[[Tensor, Tensor], Tensor]
"""Maps restored and sharp frames, both (B, 3, H, W), to a score of each frame, (B,).

A score that is not defined for a frame is NaN if the metric says so with ``partial = True``. Lower
scores are better if it has ``higher_is_better = False``, as metrics of torchmetrics have.
"""


class PairMetric(ABC):
    """A metric of two successive frames of a clip.

    Attributes:
        higher_is_better: direction.
    """

    higher_is_better = False

    @abstractmethod
    def compare(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Score a frame together with the previous one.

        Args:
            restored: (2, 3, H, W), previous and current frame, not clamped to [0, 1].
            sharp: (2, 3, H, W) in [0, 1].

        Returns:
            () score; NaN if it is not defined.
        """


AnyMetric = FrameMetric | PairMetric


class _Frame(NamedTuple):
    key: str
    restored: Tensor
    sharp: Tensor


class Scorer:
    """Scores the frames of one method, which must come in the order of their clips.

    Args:
        metrics: by name.
    """

    def __init__(self, metrics: Mapping[str, AnyMetric]) -> None:
        self._metrics = dict(metrics)
        self._pairs = {name: each for name, each in metrics.items() if isinstance(each, PairMetric)}
        self._last: _Frame | None = None

    def __call__(self, keys: Sequence[str], restored: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Score a batch.

        Args:
            keys: ``clip/frame`` of each frame.
            restored: (B, 3, H, W).
            sharp: (B, 3, H, W) in [0, 1].

        Returns:
            (B,) scores by name; NaN where a score is not defined, as that of a pair for a frame
            without its predecessor.
        """
        pairs = self._compare(keys, restored, sharp) if self._pairs else {}
        return {
            name: pairs[name] if isinstance(metric, PairMetric) else metric(restored, sharp)
            for name, metric in self._metrics.items()
        }

    def _compare(self, keys: Sequence[str], restored: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        scores = {name: restored.new_full((len(keys),), math.nan) for name in self._pairs}
        for place, key in enumerate(keys):
            last, now = self._last, _Frame(key, restored[place], sharp[place])
            self._last = now
            if last is None or not follows(last.key, key) or last.sharp.shape != now.sharp.shape:
                continue
            frames = torch.stack((last.restored, now.restored))
            truths = torch.stack((last.sharp, now.sharp))
            for name, metric in self._pairs.items():
                scores[name][place] = metric.compare(frames, truths)
        return scores


def follows(key: str, successor: str) -> bool:
    """Whether two frames are successive: of one clip, with numbers at their ends that differ by 1.

    >>> follows("clip/00009", "clip/00010"), follows("clip/00009", "clip/00011")
    (True, False)
    """
    clip, _, name = key.rpartition("/")
    other_clip, _, other = successor.rpartition("/")
    numbers = [re.search(r"\d+$", each, re.ASCII) for each in (name, other)]
    if clip != other_clip or None in numbers:
        return False
    first, second = (int(each.group()) for each in numbers if each)
    return second == first + 1


def lower_is_better(metric: AnyMetric) -> bool:
    """Whether a lower score is the better one."""
    return getattr(metric, "higher_is_better", True) is False


def partial(metric: AnyMetric) -> bool:
    """Whether some frames may have no score."""
    return isinstance(metric, PairMetric) or bool(getattr(metric, "partial", False))
