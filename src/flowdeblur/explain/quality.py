"""Scores of a real clip, which has no sharp frames: each frame before and after restoration."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean

import torch
from torch import Tensor
from tqdm import tqdm

from flowdeblur.errors import UserError
from flowdeblur.evaluation.niqe import BLOCK
from flowdeblur.evaluation.scorer import AnyMetric, Scorer
from flowdeblur.explain.explain_clip import directions
from flowdeblur.explain.explanation import Explanation, explain_frame
from flowdeblur.networks.inference import prepare
from flowdeblur.types import Network
from flowdeblur.video.clip import FrameReader
from flowdeblur.video.shots import Shots
from flowdeblur.video.windows import to_window_tensor, windows

BLUR, NIQE, GAIN = "blur_px", "niqe", "gain_db"


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """Scores of one frame; a score that is not defined is absent.

    Attributes:
        name: frame name.
        time: in seconds.
        before: scores of the input by name of the metric.
        after: scores of the restored frame; also ``gain_db``, the re-blur gain.
    """

    name: str
    time: float
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass
class ClipQuality:
    """Scores of a clip, and the frames with the largest estimated blur.

    Attributes:
        name: clip name.
        frames: in order.
        largest: the frames with the largest blur and their restoration, largest first.
    """

    name: str
    frames: list[FrameQuality] = field(default_factory=list)
    largest: list[tuple[FrameQuality, Explanation]] = field(default_factory=list)

    def means(self) -> dict[str, tuple[float | None, float | None]]:
        """Mean scores before and after by name of the metric; None where no frame has one."""
        names = dict.fromkeys(name for each in self.frames for name in (*each.before, *each.after))

        def mean(scores: list[Mapping[str, float]], name: str) -> float | None:
            known = [each[name] for each in scores if name in each]
            return fmean(known) if known else None

        return {
            name: (
                mean([each.before for each in self.frames], name),
                mean([each.after for each in self.frames], name),
            )
            for name in names
        }


def measure_clip(
    network: Network,
    clip: FrameReader,
    metrics: Mapping[str, AnyMetric],
    *,
    device: torch.device,
    duty_cycle: float,
    limit: int | None = None,
    keep: int = 4,
) -> ClipQuality:
    """Restore a clip and score its frames without reference.

    Args:
        network: is moved to ``device`` and put into evaluation mode.
        clip: the frames; damaged ones are left out.
        metrics: metrics that need no sharp frames, by name. NIQE is left out where frames are too
            small for it.
        device: where to compute.
        duty_cycle: exposure / frame interval to assume for the re-blur gain, in [0, 1].
        limit: number of frames to read; None reads all.
        keep: number of frames to keep in :attr:`ClipQuality.largest`.

    Raises:
        UserError: no frame can be decoded.
        RuntimeFailureError: the device's memory does not suffice.
    """
    network = prepare(network, device)
    metrics = {
        name: each for name, each in metrics.items() if name != NIQE or min(clip.size) >= BLOCK
    }
    before, after, shots = Scorer(metrics), Scorer(metrics), Shots()
    result = ClipQuality(clip.path.stem)
    largest: list[tuple[float, int, FrameQuality, Explanation]] = []
    found = enumerate(islice(windows(clip, network.frame_offsets), limit))
    count = clip.count if limit is None else limit
    for index, window in tqdm(found, desc=clip.path.name, total=count, unit="frame", disable=None):
        key = f"{shots(window.current)}/{index}"
        if window.current.damaged:
            continue
        frames = to_window_tensor(window, device)
        explained = explain_frame(
            network, frames, directions(network, window), duty_cycle, twice=False
        )
        quality = FrameQuality(
            window.current.name,
            float(window.current.time),
            _scores(before, key, explained.blurry),
            _scores(after, key, explained.restored)
            | ({GAIN: explained.motion.gain} if explained.motion else {}),
        )
        result.frames.append(quality)
        entry = (quality.before.get(BLUR, 0.0), -index, quality, explained)
        (heapq.heappush if len(largest) < keep else heapq.heappushpop)(largest, entry)
    if not result.frames:
        raise UserError(f"{clip.path}: no frame of it can be decoded")
    result.largest = [each[2:] for each in sorted(largest, key=lambda each: each[:2], reverse=True)]
    return result


def _scores(scorer: Scorer, key: str, frame: Tensor) -> dict[str, float]:
    found = {name: score.item() for name, score in scorer([key], frame[None], frame[None]).items()}
    return {name: score for name, score in found.items() if not math.isnan(score)}
