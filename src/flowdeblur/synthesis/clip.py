"""One sharp clip becomes a clip of blurry and sharp frames, in a folder that appears complete."""

from __future__ import annotations

import io
import json
import math
import shutil
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.blur.exposure import average, centres, instants, whole_frames
from flowdeblur.blur.light import ResponseCurve
from flowdeblur.errors import UserError
from flowdeblur.files import write_text
from flowdeblur.scenes.render import add_noise
from flowdeblur.synthesis.footage import Footage
from flowdeblur.synthesis.inputs import SharpClip
from flowdeblur.synthesis.recipe import Recipe, Shot
from flowdeblur.video.images import write_image

BLURRY, SHARP = "input", "GT"
"""Folders of a clip, as in DVD."""

METADATA = "synthesis.json"

FASTEST = 99.5
"""Percentile of the speeds that counts as the fastest: beyond are errors of the estimated flow."""


def synthesize_clip(
    clip: SharpClip, recipe: Recipe, curve: ResponseCurve, folder: Path
) -> dict[str, Any]:
    """Write ``folder``: blurry frames, sharp frames and what is known of them.

    The folder gets its name when it is complete. Until then its frames stand in a hidden one
    beside, in which a later call goes on.

    Returns:
        The metadata, as written.

    Raises:
        UserError: the video is too short for one exposure, or damaged, or OpenCV is missing.
    """
    shot = recipe.draw(clip.name)
    partial = folder.with_name(f".{folder.name}.partial")
    records = partial / "records"
    source, digest = records / "source.sha256", clip.sha256()
    if partial.exists() and (not source.exists() or source.read_text() != digest):
        shutil.rmtree(partial)  # begun with another clip of this name
    if not (partial / METADATA).exists():
        # First, so that nothing is made of a damaged clip.
        count = sum(1 for _ in clip.frames())
        wanted = centres(count, shot.interval, shot.length)
        if not wanted:
            raise UserError(
                f"{clip.path}: has {count} frames, but an exposure of {shot.length:g} frames needs "
                f"{2 * math.ceil(shot.length / 2) + 1}; lower interval, or leave it out"
            )
        for each in (partial / BLURRY, partial / SHARP, records):
            each.mkdir(parents=True, exist_ok=True)
        write_text(source, digest)
        _expose_all(clip, wanted, shot, recipe, curve, partial)
        metadata = _describe(clip, digest, count, shot, recipe, records)
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
    shot: Shot,
    recipe: Recipe,
    curve: ResponseCurve,
    partial: Path,
) -> None:
    search = None if recipe.whole_frames else DenseInverseSearch()
    footage = Footage(clip.frames(), curve, recipe.scale, search)
    for number, centre in enumerate(tqdm(wanted, clip.name, unit="frame", disable=None)):
        name = f"{number:05d}"
        record = partial / "records" / f"{name}.json"
        if record.exists():
            continue
        reach = math.ceil(shot.length / 2)
        footage.wind(centre - reach, centre + reach)
        light, known = expose(footage, centre, shot)
        if shot.noise:
            light = add_noise(light, shot.noise, np.random.default_rng([shot.seed, number + 1]))
        blurry, sharp = curve.to_values(light), footage.still(centre).image
        if shot.jpeg is not None:
            blurry = compress(blurry, shot.jpeg)
        write_image(partial / BLURRY / f"{name}.png", blurry)
        write_image(partial / SHARP / f"{name}.png", sharp)
        known = {"name": name, "source_frame": centre, **known, "psnr": _psnr(blurry, sharp)}
        write_text(record, json.dumps(known))


def expose(footage: Footage, centre: int, shot: Shot) -> tuple[Tensor, dict[str, Any]]:
    """Average the light of an exposure.

    Returns:
        (3, H, W) linear light without noise, and ``instants``, how many were averaged, and
        ``blur_px``, how far pixels moved meanwhile: ``mean`` and ``fastest``; None where only whole
        frames are averaged, because no flow is known.
    """
    if not footage.interpolates:
        times = whole_frames(centre, shot.length)
        return average(footage.at, times), {"instants": len(times), "blur_px": None}
    start, end = centre - shot.length / 2, centre + shot.length / 2
    mean = fastest = 0.0
    for number in range(math.floor(start), math.ceil(end)):
        share = min(end, number + 1) - max(start, number)
        speeds = footage.motion(number).speeds
        mean += share * float(speeds.mean(dtype=np.float64))
        fastest += share * float(np.percentile(speeds, FASTEST))
    times = instants(centre, shot.length, fastest)
    blur = {"mean": round(mean, 3), "fastest": round(fastest, 3)}
    return average(footage.at, times), {"instants": len(times), "blur_px": blur}


def compress(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """What is left of a picture (H, W, 3) that was stored as JPEG, with colour at half size."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def _psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float | None:
    error = float(np.mean((one.astype(np.float32) - other) ** 2, dtype=np.float64))
    return round(10 * math.log10(255**2 / error), 3) if error else None


def _describe(
    clip: SharpClip, digest: str, count: int, shot: Shot, recipe: Recipe, records: Path
) -> dict[str, Any]:
    frames = [json.loads(each.read_text()) for each in sorted(records.glob("*.json"))]
    scores = [each["psnr"] for each in frames if each["psnr"] is not None]
    blurs = [each["blur_px"] for each in frames if each["blur_px"] is not None]
    exposed = frames[0]["instants"] if recipe.whole_frames else shot.length
    mean = statistics.fmean(each["mean"] for each in blurs) if blurs else None
    return {
        "source": {
            "name": clip.path.name,
            "bytes": clip.bytes,
            "sha256": digest,
            "frames": count,
        },
        "recipe": recipe.as_json(),
        "flow": None if recipe.whole_frames else DenseInverseSearch.version(),
        "shot": asdict(shot),
        "exposure_frames": round(exposed, 4),
        "statistics": {
            "frames": len(frames),
            "psnr": round(statistics.fmean(scores), 3) if scores else None,
            "blur_px": None
            if mean is None
            else {
                "mean": round(mean, 3),
                "fastest": max(each["fastest"] for each in blurs),
            },
            "motion_px": None if mean is None else round(mean / shot.duty_cycle, 3),
        },
        "frames": frames,
    }
