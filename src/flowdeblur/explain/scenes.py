"""Blur kernels that a network's flow implies against the true ones, on the embedded scenes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from flowdeblur.blur.kernels import Trail, blur_kernels, trail_distance
from flowdeblur.errors import UserError
from flowdeblur.evaluation.metrics import psnr
from flowdeblur.explain.explanation import Explanation, consistency, explain_frame
from flowdeblur.scenes import Scenes
from flowdeblur.types import Network, Sample
from flowdeblur.viz.drawing import Drawn, draw_kernels
from flowdeblur.viz.panels import panel

_GRID_PX = 8


@dataclass(frozen=True, slots=True)
class SceneScore:
    """Scores of a scene's blur kernels.

    Attributes:
        key: key of the scene.
        ends_px: mean distance of the ends of implied and true trails, over visible pixels.
        ends_px_without_motion: the same with no motion instead of the network's.
        overlap: mean of the kernels' common mass, sum of min(implied, true), 0 .. 1, on a grid.
        overlap_without_motion: the same with single pixels instead of the implied kernels.
        sharp_db: PSNR of the blurry frame against the true sharp one.
        true_db: PSNR of the true sharp frame, blurred along the true flow, against the blurry one:
            how well straight, uniform motion without occlusion describes the scene.
        implied_db: the same along the network's flow.
        gain_db: gain in re-blur consistency, without ground truth.
        psnr_gain_db: gain in PSNR against the true sharp frame.
    """

    key: str
    ends_px: float
    ends_px_without_motion: float
    overlap: float
    overlap_without_motion: float
    sharp_db: float
    true_db: float
    implied_db: float
    gain_db: float
    psnr_gain_db: float


def compare_kernels(
    network: Network, scenes: Scenes, rows: int = 4
) -> tuple[list[SceneScore], Drawn]:
    """Compare kernels on every scene.

    Args:
        network: predicts flow; in evaluation mode.
        scenes: the duty cycle of each is known, and used.
        rows: how many scenes are drawn.

    Returns:
        The scores, and an image of the first scenes: blurry, restored, true and implied kernels.

    Raises:
        UserError: the network predicts no flow.
    """
    if not network.flow_offsets:
        raise UserError("these weights predict no flow, so there are no kernels to compare")
    scores: list[SceneScore] = []
    drawn: list[tuple[Tensor, ...]] = []
    for index, sample in _samples(network, scenes):
        duty_cycle = scenes.scene(index).duty_cycle
        frames, sharp = sample["frames"][None] / 255, sample["sharp"][None] / 255
        explained = explain_frame(network, frames, network.flow_offsets, duty_cycle)
        assert explained.motion is not None
        truth = Trail.of_flows(sample["flow"][None], network.flow_offsets)
        score = _score(explained, truth, sharp, sample, duty_cycle)
        scores.append(score)
        if len(drawn) < rows:
            trails = (truth, explained.motion.trail)
            room = max(float(each.length_px(duty_cycle).max()) for each in trails)
            kernels = (draw_kernels(explained.blurry, each, duty_cycle, room) for each in trails)
            drawn.append(
                (explained.blurry, explained.restored, *(_tensor(each.image) for each in kernels))
            )
    names = ("blurry", "restored", "true kernels", "implied kernels")
    columns = {name: torch.stack([row[place] for row in drawn]) for place, name in enumerate(names)}
    notes = [
        f"{each.key}: overlap {each.overlap:.2f}, ends {each.ends_px:.1f} px apart, "
        f"re-blur gain {each.gain_db:+.2f} dB"
        for each in scores[: len(drawn)]
    ]
    return scores, panel(columns, len(drawn), notes)


def to_markdown(scores: Sequence[SceneScore]) -> str:
    """Means over scenes as a table, and how the two gains go together by rank."""
    mean = {
        name: float(np.mean([getattr(each, name) for each in scores]))
        for name in SceneScore.__slots__
        if name != "key"
    }
    gains = np.array([(each.gain_db, each.psnr_gain_db) for each in scores])
    # By rank, because of few scenes, one that is unlike the rest would decide.
    together = np.corrcoef(gains.argsort(0).argsort(0).T).ravel()[1]
    rows = [
        ("distance of the trails' ends, px", "ends_px", "ends_px_without_motion", ".2f"),
        ("overlap of the kernels, 0 to 1", "overlap", "overlap_without_motion", ".3f"),
        ("sharp frame blurred again against the blurry frame, dB", "implied_db", "sharp_db", ".2f"),
    ]
    lines = [
        f"{len(scores)} scenes; the true flow gives {mean['true_db']:.2f} dB when the sharp frame "
        "is blurred along it.",
        "",
        "| mean over scenes | network's flow | no motion |",
        "|---|---:|---:|",
        *(
            f"| {text} | {mean[one]:{form}} | {mean[none]:{form}} |"
            for text, one, none, form in rows
        ),
        "",
        f"Gain in re-blur consistency {mean['gain_db']:+.2f} dB, in PSNR against the sharp frame "
        f"{mean['psnr_gain_db']:+.2f} dB"
        + (f"; rank correlation {together:.2f}." if len(scores) > 2 else "."),
    ]
    return "\n".join(lines) + "\n"


def _samples(network: Network, scenes: Scenes) -> Iterator[tuple[int, Sample]]:
    opened = scenes.open(network.frame_offsets, network.flow_offsets)
    for index in tqdm(range(len(opened)), unit="scene", disable=None):
        yield index, opened[index]


def _score(
    explained: Explanation, truth: Trail, sharp: Tensor, sample: Sample, duty_cycle: float
) -> SceneScore:
    motion, restored, blurry = explained.motion, explained.restored, explained.blurry
    assert motion is not None
    nothing = Trail(torch.zeros_like(truth.before), torch.zeros_like(truth.after))
    visible = sample["visible"].all(0)[None]
    before = float(psnr(blurry[None], sharp))
    return SceneScore(
        key=sample["key"],
        ends_px=float(trail_distance(motion.trail, truth, duty_cycle)[visible].mean()),
        ends_px_without_motion=float(trail_distance(nothing, truth, duty_cycle)[visible].mean()),
        overlap=_overlap(motion.trail, truth, duty_cycle),
        overlap_without_motion=_overlap(nothing, truth, duty_cycle),
        sharp_db=before,
        true_db=consistency(sharp, blurry[None], truth, duty_cycle)[1],
        implied_db=consistency(sharp, blurry[None], motion.trail, duty_cycle)[1],
        gain_db=motion.gain,
        psnr_gain_db=float(psnr(restored[None], sharp)) - before,
    )


def _overlap(one: Trail, other: Trail, duty_cycle: float) -> float:
    height, width = one.after.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(_GRID_PX // 2, height, _GRID_PX),
        torch.arange(_GRID_PX // 2, width, _GRID_PX),
        indexing="ij",
    )
    points = (each.points(y.flatten(), x.flatten()) for each in (one, other))
    first, second = (blur_kernels(each, duty_cycle) for each in points)
    pad = (second.shape[-1] - first.shape[-1]) // 2
    if pad < 0:
        first, second, pad = second, first, -pad
    first = torch.nn.functional.pad(first, (pad, pad, pad, pad))
    return float(torch.minimum(first, second).sum((1, 2)).mean())


def _tensor(drawn: Drawn) -> Tensor:
    return torch.from_numpy(drawn.copy()).permute(2, 0, 1) / 255
