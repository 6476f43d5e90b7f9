"""Validation pairs by blur length: the same number of scored frames in each stratum.

Every clip of the result has three frames, of which the middle one is scored; the others are its
neighbours. Frames are named STRATUM_MIN-MAXpx-NUMBER, so that a protocol can choose the scored
frames of one stratum by name (``protocols=strata``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.devices import one_thread_per_operation
from flowdeblur.errors import UserError
from flowdeblur.files import write_text
from flowdeblur.synthesis.clip import BLURRY, SHARP
from flowdeblur.synthesis.inputs import SharpClip
from flowdeblur.synthesis.segments import Exposed, SegmentRules, choose_segments, expose_segments
from flowdeblur.synthesis.survey import Survey
from flowdeblur.video.images import write_image

STRATA_PX = ((0, 2), (2, 5), (5, 10), (10, 20), (20, 40))
"""Blur lengths: median over moving pixels of the motion during the exposure, in pixels of the
frame that is scored."""

RULES = SegmentRules(
    frames=3,
    window=None,
    interval=(1, 12),
    lines=360,
    gamma=(2.2, 2.2),
    highlights=(1.0, 1.0),
    min_sharpness=0.5,
    min_moving=0.05,
)

SPARE = 1.4
"""So many times as many segments are made, because some are measured to be of another stratum."""

INDEX = "strata.json"


def prepare_strata(
    clips: Sequence[SharpClip], out: Path, *, frames: int = 20, seed: int = 0
) -> list[dict[str, Any]]:
    """Write validation pairs below ``out``: ``CLIP-NNN/input`` and ``CLIP-NNN/GT``.

    Args:
        clips: sharp clips that nothing is trained on.
        out: a folder that does not exist yet, or is empty.
        frames: scored frames per stratum.
        seed: seed of all draws.

    Returns:
        For each scored frame its stratum, size, blur and how it was made.

    Raises:
        UserError: ``out`` is not empty, a clip cannot be used, or the clips do not reach a stratum.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: is not empty; choose another OUT")
    by_name = {clip.name: clip for clip in clips}
    with one_thread_per_operation():
        surveys = {
            name: Survey.of(clip.frames())
            for name, clip in tqdm(by_name.items(), "measuring", unit="clip", disable=None)
        }
        wanted = [
            float(length)
            for low, high in STRATA_PX
            for length in np.geomspace(max(1.05 * low, 0.5), 0.95 * high, round(SPARE * frames))
        ]
        chosen = choose_segments(surveys, RULES, wanted, np.random.default_rng(seed))
        order = {id(segment): number for number, segment in enumerate(chosen)}
        made: list[list[tuple[int, Exposed]]] = [[] for _ in STRATA_PX]
        with tqdm(total=len(chosen), desc="blurring", unit="segment", disable=None) as bar:
            for name, clip in by_name.items():
                own = [each for each in chosen if each.clip == name]
                for exposed in expose_segments(clip.frames(), own, DenseInverseSearch()):
                    bar.update(1)
                    length = exposed.blur[1].median
                    for stratum, (low, high) in enumerate(STRATA_PX):
                        if low <= length < high:
                            made[stratum].append((order[id(exposed.segment)], exposed))
    described = []
    for stratum, (low, high) in enumerate(STRATA_PX):
        if len(made[stratum]) < frames:
            raise UserError(
                f"blur of {low} to {high} px: only {len(made[stratum])} of {frames} frames; "
                "add clips with more motion, or lower --frames"
            )
        # In the order of the draws, which does not depend on the clip.
        for number, (_, exposed) in enumerate(sorted(made[stratum], key=lambda each: each[0])):
            if number < frames:
                name = f"{exposed.segment.clip}-{stratum}{number:02d}"
                described.append(_write(out / name, stratum, exposed))
    write_text(out / INDEX, json.dumps(described, indent=1) + "\n")
    return described


def _write(folder: Path, stratum: int, exposed: Exposed) -> dict[str, Any]:
    low, high = STRATA_PX[stratum]
    for kind, images in ((BLURRY, exposed.blurry), (SHARP, exposed.sharp)):
        (folder / kind).mkdir(parents=True)
        for number, image in enumerate(images):
            path = folder / kind / f"{stratum}_{low:02d}-{high:02d}px-{number}.png"
            write_image(path, np.ascontiguousarray(image.transpose(1, 2, 0)), fast=True)
    return {
        "clip": folder.name,
        "stratum": f"{low}-{high} px",
        "size": f"{exposed.blurry.shape[3]}x{exposed.blurry.shape[2]}",
        "blur_px": asdict(exposed.blur[1]),
        "segment": asdict(exposed.segment),
    }


def summary(described: Sequence[dict[str, Any]]) -> str:
    """Sizes, source clips and blur of each stratum, a line each."""
    lines = []
    for stratum in dict.fromkeys(each["stratum"] for each in described):
        own = [each for each in described if each["stratum"] == stratum]
        sources = [each["segment"]["clip"] for each in own]
        counts = ", ".join(f"{sources.count(name)} of {name}" for name in sorted(set(sources)))
        lengths = [each["blur_px"]["median"] for each in own]
        sizes = ", ".join(sorted({each["size"] for each in own}))
        lines.append(
            f"{stratum}: {len(own)} frames of {sizes}, "
            f"mean blur {np.mean(lengths):.1f} px; {counts}"
        )
    return "\n".join(lines)
