"""Synthesizes one clip: blurry and sharp frames in a folder that gets its name when complete."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flowdeblur.blur.degradation import add_noise, compress
from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.blur.exposure import exposure_centers
from flowdeblur.blur.light import ResponseCurve
from flowdeblur.errors import UserError
from flowdeblur.files import write_text
from flowdeblur.synthesis.capture import expose
from flowdeblur.synthesis.footage import Footage
from flowdeblur.synthesis.inputs import SharpClip
from flowdeblur.synthesis.recipe import CaptureSettings, Recipe
from flowdeblur.video.images import write_image

BLURRY, SHARP = "input", "GT"
"""Folders of a clip, as in DVD."""

METADATA = "synthesis.json"


class Progress(Protocol):
    """Shows how far a synthesis is; several clips may report at the same time."""

    def expect(self, frames: int) -> None:
        """More frames are to be made."""

    def made(self, frames: int) -> None:
        """Frames are complete."""


def synthesize_clip(
    clip: SharpClip, recipe: Recipe, curve: ResponseCurve, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Write ``folder``: blurry frames, sharp frames and what is known about them.

    Until the clip is complete, its frames are in a hidden folder next to ``folder``, where a later
    call resumes.

    Args:
        clip: the sharp frames.
        recipe: how to blur them.
        curve: response of the camera.
        folder: does not exist yet.
        progress: receives the number of frames at the start, and each frame when it is written.

    Returns:
        The metadata, as written.

    Raises:
        UserError: the video is too short for one exposure, or damaged, or OpenCV is missing.
    """
    settings = recipe.draw(clip.name)
    partial = folder.with_name(f".{folder.name}.partial")
    records = partial / "records"
    source, digest = records / "source.sha256", clip.sha256()
    if partial.exists() and (not source.exists() or source.read_text() != digest):
        shutil.rmtree(partial)  # begun with another clip of this name
    if not (partial / METADATA).exists():
        # First, so that nothing is made of a damaged clip.
        count = sum(1 for _ in clip.frames())
        wanted = exposure_centers(count, settings.interval, settings.length)
        if not wanted:
            raise UserError(
                f"{clip.path}: has {count} frames, but an exposure of {settings.length:g} frames "
                f"needs {2 * math.ceil(settings.length / 2) + 1}; lower interval, or leave it out"
            )
        for each in (partial / BLURRY, partial / SHARP, records):
            each.mkdir(parents=True, exist_ok=True)
        write_text(source, digest)
        _expose_all(clip, wanted, settings, recipe, curve, partial, progress)
        metadata = _describe(clip, digest, count, settings, recipe, records)
        write_text(partial / METADATA, json.dumps(metadata, indent=1) + "\n")
    shutil.rmtree(records, ignore_errors=True)
    for left in partial.glob("*/.*.partial-*"):  # of a process killed while writing
        left.unlink()
    partial.rename(folder)
    content: dict[str, Any] = json.loads((folder / METADATA).read_text())
    return content


def _expose_all(
    clip: SharpClip,
    wanted: range,
    settings: CaptureSettings,
    recipe: Recipe,
    curve: ResponseCurve,
    partial: Path,
    progress: Progress,
) -> None:
    search = None if recipe.whole_frames else DenseInverseSearch()
    footage = Footage(clip.frames(), curve, recipe.scale, search, settings.highlight_gain)
    reach = math.ceil(settings.length / 2)
    progress.expect(len(wanted))
    for number, center in enumerate(wanted):
        name = f"{number:05d}"
        record = partial / "records" / f"{name}.json"
        progress.made(1)
        if record.exists():
            continue
        footage.advance_to(center - reach, center + reach)
        light, known = expose(footage, center, settings.length)
        if settings.noise:
            random = np.random.default_rng([settings.seed, number + 1])
            light = add_noise(light.clamp(min=0), settings.noise, random)
        blurry, sharp = curve.to_values(light), footage.still(center).image
        if settings.jpeg is not None:
            blurry = compress(blurry, settings.jpeg)
        write_image(partial / BLURRY / f"{name}.png", blurry, fast=True)
        write_image(partial / SHARP / f"{name}.png", sharp, fast=True)
        known = {"name": name, "source_frame": center, **known, "psnr": _psnr(blurry, sharp)}
        write_text(record, json.dumps(known))


def _psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float | None:
    error = float(np.mean((one.astype(np.float32) - other) ** 2, dtype=np.float64))
    return round(10 * math.log10(255**2 / error), 3) if error else None


def _describe(
    clip: SharpClip,
    digest: str,
    count: int,
    settings: CaptureSettings,
    recipe: Recipe,
    records: Path,
) -> dict[str, Any]:
    frames = [json.loads(each.read_text()) for each in sorted(records.glob("*.json"))]
    scores = [each["psnr"] for each in frames if each["psnr"] is not None]
    blurs = [each["blur_px"] for each in frames if each["blur_px"] is not None]
    exposed = frames[0]["instants"] if recipe.whole_frames else settings.length
    mean = statistics.fmean(each["mean"] for each in blurs) if blurs else None
    return {
        "source": {"name": clip.path.name, "bytes": clip.bytes, "sha256": digest, "frames": count},
        "recipe": recipe.as_json(),
        "flow": None if recipe.whole_frames else DenseInverseSearch.version(),
        "settings": asdict(settings),
        "exposure_frames": round(exposed, 4),
        "statistics": {
            "frames": len(frames),
            "psnr": round(statistics.fmean(scores), 3) if scores else None,
            "blur_px": None
            if mean is None
            else {
                "mean": round(mean, 3),
                "median": round(statistics.fmean(each["median"] for each in blurs), 3),
                "fastest": max(each["fastest"] for each in blurs),
            },
            "motion_px": None if mean is None else round(mean / settings.duty_cycle, 3),
        },
        "frames": frames,
    }
