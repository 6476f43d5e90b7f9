"""The training data of ``data=release``: packed segments of sharp videos, and real pairs.

The prepared folder holds

    NAME/           packed segments of the videos in RAW/sharp/NAME, one folder per NAME
    unblurred/      the sharp frames of every fourth segment, as blurry and as sharp frames
    real/           packed real pairs
    textures/       RAW/photographs, and sharp frames of the videos
    val             link to RAW/val
    release.json    what was drawn and measured for every segment
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.datasets.folders import FrameFolders
from flowdeblur.datasets.packed import pack
from flowdeblur.datasets.packed.index import INDEX, PackedEntry, Shard, to_json
from flowdeblur.devices import one_thread_per_operation
from flowdeblur.errors import UserError
from flowdeblur.files import replacing, write_text
from flowdeblur.synthesis.inputs import SharpClip, find_clips
from flowdeblur.synthesis.segments import (
    Exposed,
    Segment,
    SegmentRules,
    choose_segments,
    expose_segments,
)
from flowdeblur.synthesis.stills import write_stills
from flowdeblur.synthesis.survey import Survey
from flowdeblur.video.images import list_images

LENGTHS_PX = (0.5, 40.0)
"""Range of the wanted blur lengths, spread evenly on a logarithmic scale."""

STILL = 0.04
"""Share of segments in which nearly nothing moves."""

UNBLURRED = "unblurred"
TEXTURES = "textures"
UNBLURRED_STEP = 4


def prepare_release(
    raw: Path, out: Path, *, segments_per_clip: int, seed: int, jobs: int | None = None
) -> list[dict[str, Any]]:
    """Prepare the data; an interrupted call is resumed by the same call.

    Args:
        raw: folders ``sharp/NAME`` (videos, or folders of images), ``real/CLIP/{blur,sharp}``,
            ``photographs`` and ``val``; all but ``sharp`` may be missing.
        out: made if missing.
        segments_per_clip: how many segments are made for each sharp clip, on average.
        seed: seed of all draws.
        jobs: clips worked on at the same time; None for one per thread that PyTorch would use.

    Returns:
        A description of each segment.

    Raises:
        UserError: ``raw`` has no sharp clips, or a clip is damaged or has a cut.
    """
    groups = sorted(each for each in (raw / "sharp").glob("*") if each.is_dir())
    if not groups:
        raise UserError(f"{raw}/sharp: no folders; put sharp videos into {raw}/sharp/NAME/")
    described: list[dict[str, Any]] = []
    textures = out / TEXTURES
    textures.mkdir(parents=True, exist_ok=True)
    with one_thread_per_operation() as threads, ThreadPoolExecutor(jobs or threads) as pool:
        for number, group in enumerate(groups):
            clips = find_clips(group)
            random = np.random.default_rng([seed, number])
            surveys = _survey(clips, group.name, pool.map)
            made = _prepare_group(
                clips, surveys, out / group.name, segments_per_clip, random, pool.map
            )
            described += [{"source": group.name, **each} for each in made]
            for clip in clips:
                write_stills(clip, surveys[clip.name], textures)
    _link_unblurred(out, [group.name for group in groups])
    if (raw / "real").is_dir():
        pack(FrameFolders(str(raw / "real"), "*/blur", "*/sharp").pairs(), out / "real")
    if (raw / "photographs").is_dir():
        for path in list_images(raw / "photographs"):
            _link(path.resolve(), textures / path.name)
    if (raw / "val").is_dir() and not (out / "val").exists():
        (out / "val").symlink_to((raw / "val").resolve())
    write_text(out / "release.json", json.dumps(described, indent=1) + "\n")
    return described


def wanted_lengths(count: int) -> list[float]:
    """Blur lengths of ``count`` segments: some 0, the others even on a logarithmic scale."""
    still = round(STILL * count)
    return [0.0] * still + [float(each) for each in np.geomspace(*LENGTHS_PX, count - still)]


def _survey(
    clips: Sequence[SharpClip], group: str, map_: Callable[..., Iterable[Any]]
) -> dict[str, Survey]:
    surveys = tqdm(
        map_(lambda clip: Survey.of(clip.frames()), clips),
        f"{group}: measuring",
        len(clips),
        unit="clip",
        disable=None,
    )
    return {clip.name: survey for clip, survey in zip(clips, surveys, strict=True)}


def _prepare_group(
    clips: Sequence[SharpClip],
    surveys: dict[str, Survey],
    out: Path,
    segments_per_clip: int,
    random: np.random.Generator,
    map_: Callable[..., Iterable[Any]],
) -> list[dict[str, Any]]:
    out.mkdir(parents=True, exist_ok=True)
    wanted = wanted_lengths(segments_per_clip * len(clips))
    chosen = choose_segments(surveys, SegmentRules(), wanted, random)
    if not chosen:
        raise UserError(
            f"{clips[0].path.parent}: no frames are sharp enough, or nothing moves; "
            "choose other videos, or larger ones"
        )
    names = {id(segment): f"{segment.clip}-{n:04d}" for n, segment in enumerate(chosen)}
    with tqdm(desc=f"{out.name}: blurring", total=len(chosen), unit="segment", disable=None) as bar:

        def make(clip: SharpClip) -> None:
            own = [each for each in chosen if each.clip == clip.name]
            missing = [each for each in own if not (out / f"{names[id(each)]}.json").exists()]
            bar.update(len(own) - len(missing))
            # The fast flow halves the time; on scenes it costs 0.6 dB of 38.9.
            search = DenseInverseSearch(fast=True)
            for exposed in expose_segments(clip.frames(), missing, search):
                _write(out / names[id(exposed.segment)], exposed)
                bar.update(1)

        list(map_(make, clips))
    entries, described = [], []
    for name in sorted(names.values()):
        content = json.loads((out / f"{name}.json").read_text())
        described.append(content)
        entries.append(_entry(out, name, content["segment"]))
    write_text(out / INDEX, to_json(entries))
    return described


def _entry(out: Path, name: str, segment: dict[str, Any], blurry: str = "blurry") -> PackedEntry:
    size = (segment["window"][2], segment["window"][3])
    frames = [f"{number:05d}" for number in range(segment["frames"])]
    shards = [Shard.of(out / f"{name}.{kind}.npy") for kind in (blurry, "sharp")]
    return PackedEntry(name, size, frames, *shards)


def _write(path: Path, exposed: Exposed) -> None:
    """Write the arrays, and at last the description, by which they count as complete."""
    for kind, array in (("blurry", exposed.blurry), ("sharp", exposed.sharp)):
        _write_array(path.with_name(f"{path.name}.{kind}.npy"), array)
    content = {
        "name": path.name,
        "segment": asdict(exposed.segment),
        "blur_px": [asdict(each) for each in exposed.blur],
    }
    write_text(path.with_name(f"{path.name}.json"), json.dumps(content) + "\n")


def _write_array(path: Path, array: NDArray[np.uint8]) -> None:
    with replacing(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _link_unblurred(out: Path, groups: Sequence[str]) -> None:
    """Give sharp frames of some segments as blurry ones, too; hard links take no space."""
    folder = out / UNBLURRED
    folder.mkdir(exist_ok=True)
    entries = []
    for group in groups:
        paths = sorted((out / group).glob("*.json"))
        for path in [each for each in paths if each.name != INDEX][::UNBLURRED_STEP]:
            content = json.loads(path.read_text())
            name = f"{group}-{path.stem}"
            source, target = path.with_suffix(".sharp.npy"), folder / f"{name}.sharp.npy"
            _link(source, target)
            entries.append(_entry(folder, name, content["segment"], blurry="sharp"))
    write_text(folder / INDEX, to_json(entries))


def _link(source: Path, target: Path) -> None:
    if not target.exists():
        try:
            os.link(source, target)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, target)


def histogram(described: Sequence[dict[str, Any]]) -> str:
    """Blur lengths of the middle frames, in octaves, as lines of text."""
    lengths = [each["blur_px"][len(each["blur_px"]) // 2]["median"] for each in described]
    edges = [0, 0.5, 1, 2, 4, 8, 16, 32, np.inf]
    counts, _ = np.histogram(lengths, edges)
    return "\n".join(
        f"{low:>4g} .. {high:<4g} px {count:5d}"
        for low, high, count in zip(edges, edges[1:], counts.tolist(), strict=False)
    )


__all__ = ["Segment", "histogram", "prepare_release", "wanted_lengths"]
