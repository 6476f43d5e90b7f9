"""Restore every frame once, and score it under each protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from flowdeblur.data.samples import PlainSamples
from flowdeblur.errors import UserError
from flowdeblur.evaluation.motion import MotionBins, speed
from flowdeblur.evaluation.protocol import Protocol, finite
from flowdeblur.evaluation.restorers import Prediction, Restorer
from flowdeblur.evaluation.scorer import AnyMetric, PairMetric, Scorer, follows
from flowdeblur.types import Sample, SampleSequence

Scores = dict[str, dict[str, float]]
"""By method, then by metric."""

Observer = Callable[[Sample, Mapping[str, Prediction]], None]


@dataclass(frozen=True)
class Chosen:
    """Clips and frames that a protocol scores, in order.

    Attributes:
        protocol: that chose.
        clips: keys of frames by clip.
    """

    protocol: Protocol
    clips: dict[str, list[str]]

    @cached_property
    def keys(self) -> dict[str, None]:
        """All frames, in order."""
        return {key: None for keys in self.clips.values() for key in keys}

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    @property
    def digest(self) -> str:
        """SHA-256 of the list of frames, one ``clip/frame`` a line."""
        return hashlib.sha256("\n".join(self.keys).encode()).hexdigest()


class Evaluation:
    """Scores of every frame.

    Args:
        chosen: the frames to score, by name of the protocol.
        motion: gathers errors by motion.

    Attributes:
        frames: scores by name of the protocol and by key.
        speeds: mean motion in pixels by key, where it is known.
        flow: where the motion comes from, ``true`` or ``predicted``; None if it is not known.
    """

    def __init__(self, chosen: Mapping[str, Chosen], motion: MotionBins) -> None:
        self.chosen, self.motion = chosen, motion
        self.frames: dict[str, dict[str, Scores]] = {name: {} for name in chosen}
        self.speeds: dict[str, float] = {}
        self.flow: str | None = None
        self._scorers: dict[tuple[str, str], Scorer] = {}

    def add(self, sample: Sample, predictions: Mapping[str, Prediction]) -> None:
        """Score a frame under all protocols that have chosen it.

        Args:
            sample: with the sharp frame and, where it is known, the true flow.
            predictions: of this frame by method; the first flow among them stands in for the true
                one.
        """
        key, sharp = sample["key"], sample["sharp"].float() / 255
        for name, chosen in self.chosen.items():
            if key in chosen:
                protocol = chosen.protocol
                self.frames[name][key] = {
                    method: protocol.score_next(
                        self._scorers.setdefault((name, method), Scorer(protocol.metrics)),
                        key,
                        prediction.restored,
                        sharp,
                    )
                    for method, prediction in predictions.items()
                }
        flows = [each.flow for each in predictions.values() if each.flow is not None]
        flow = sample.get("flow", flows[0] if flows else None)
        if flow is not None:
            self.flow = "true" if "flow" in sample else "predicted"
            length = speed(flow)
            self.speeds[key] = length.mean().item()
            restored = {name: each.restored for name, each in predictions.items()}
            self.motion.add(length, restored, sharp)

    def summary(self, name: str) -> dict[str, Any]:
        """Average under a protocol.

        Returns:
            ``frames`` (how many), ``frames_sha256``, ``scores`` by method and metric, and the same
            for each of the ``clips``; None stands for an infinite score. A metric is left out
            where no frame has a score.
        """
        chosen, frames = self.chosen[name], self.frames[name]
        protocol = chosen.protocol

        def known(clips: list[list[str]], method: str, metric: str) -> list[list[float]]:
            scores = [[frames[key][method].get(metric) for key in keys] for keys in clips]
            clean = [[each for each in clip if each is not None] for clip in scores]
            return [clip for clip in clean if clip]

        def mean(clips: list[list[str]]) -> dict[str, dict[str, float | None]]:
            return {
                method: {
                    metric: finite(protocol.average(scores))
                    for metric in protocol.metrics
                    if (scores := known(clips, method, metric))
                }
                for method in next(iter(frames.values()))
            }

        return {
            "frames": len(chosen.keys),
            "frames_sha256": chosen.digest,
            "scores": mean(list(chosen.clips.values())),
            "clips": {clip: mean([keys]) for clip, keys in chosen.clips.items()},
        }


def choose(name: str, protocol: Protocol, keys: list[str]) -> Chosen:
    """Let a protocol choose among all frames.

    Args:
        name: of the protocol.
        protocol: chooses in each clip.
        keys: of all frames, ``clip/frame``, clip by clip and in order.

    Raises:
        UserError: the protocol chooses none.
    """
    clips: dict[str, list[str]] = {}
    for key in keys:
        clips.setdefault(key.rpartition("/")[0], []).append(key)
    chosen = {
        clip: [frames[position] for position in positions]
        for clip, frames in clips.items()
        if (positions := protocol.frames.choose([key.rpartition("/")[2] for key in frames]))
    }
    if not chosen:
        raise UserError(
            f"protocols.{name}: chooses none of the {len(keys)} frames in {len(clips)} clips; "
            "name a protocol for these data, as protocols=[all_frames]"
        )
    return Chosen(protocol, chosen)


def require_successive(metrics: Mapping[str, AnyMetric], chosen: Mapping[str, Chosen]) -> None:
    """Check that metrics of successive frames will have some.

    Raises:
        UserError: there are such metrics, and no two chosen frames are successive.
    """
    names = [name for name, each in metrics.items() if isinstance(each, PairMetric)]
    pairs = (
        pair for each in chosen.values() for keys in each.clips.values() for pair in pairwise(keys)
    )
    if names and not any(follows(*pair) for pair in pairs):
        raise UserError(
            f"metrics.{names[0]}: compares successive frames, but no two scored frames have "
            "successive numbers in a clip; choose data with clips, or leave it out"
        )


def score(
    samples: SampleSequence,
    methods: Mapping[str, Restorer],
    chosen: Mapping[str, Chosen],
    motion: MotionBins,
    *,
    device: torch.device,
    workers: int = 0,
    observers: Sequence[Observer] = (),
) -> Evaluation:
    """Restore the frames that any protocol has chosen, one at a time.

    Args:
        samples: of the test data, at full size; frames may differ in size.
        methods: what is scored, by name.
        chosen: frames by name of the protocol.
        motion: gathers errors by motion, by the samples' flow, or else that of the first method
            that predicts flow.
        device: where to compute.
        workers: processes that read frames ahead.
        observers: are shown every frame with all predictions, in the order of the samples.

    Raises:
        UserError: a frame cannot be read, or is too small.
        RuntimeFailureError: a network's output is not finite, or memory does not suffice.
    """
    evaluation = Evaluation(chosen, motion)
    indices = [
        index
        for index, key in enumerate(samples.keys)
        if any(key in each for each in chosen.values())
    ]
    loader = DataLoader(
        Subset(PlainSamples(samples), indices), batch_size=None, num_workers=workers
    )
    with torch.inference_mode():
        for read in tqdm(loader, unit="frame", disable=None, dynamic_ncols=True):
            sample = cast(
                Sample,
                {
                    name: value.to(device) if isinstance(value, Tensor) else value
                    for name, value in read.items()
                },
            )
            predictions = {name: restore(sample) for name, restore in methods.items()}
            evaluation.add(sample, predictions)
            for observe in observers:
                observe(sample, predictions)
    return evaluation
