"""Crops of the same square of a test frame, as restored by every row."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from flowdeblur.ablation.run_result import RunResult
from flowdeblur.ablation.table import AblationTable

_SIDE, _FRAMES = 96, 4


@dataclass(frozen=True)
class Tile:
    """Images of one row.

    Attributes:
        caption: text below the images.
        images: name and data URI of each.
    """

    caption: str
    images: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class FrameCrops:
    """Crops of a test frame.

    Attributes:
        key: clip and frame.
        tiles: input, ground truth, and the frame as restored by each row.
    """

    key: str
    tiles: Sequence[Tile]


def crops(table: AblationTable) -> list[FrameCrops]:
    """Cut the crops of the first test frames that finished rows have written as images."""
    rows = [(row, row.results[0]) for row in table.rows if row.results]
    frames = []
    for place, key in enumerate(table.reference.keys[:_FRAMES]):
        shown = [
            (row, result)
            for row, result in rows
            if list(result.frames)[place : place + 1] == [key] and result.image(place, "restored")
        ]
        if not shown:
            continue
        # A row that loads the true flow, if there is one.
        known = [result for _, result in shown if result.image(place, "true_flow")]
        source = known[0] if known else shown[0][1]
        window = _window(source, place)
        blurry = source.frames[key].get("psnr_blurry")
        tiles = [
            Tile(
                _scored("Blurry", blurry) + "; sharp",
                _images(source, place, ["blurry", "sharp"], window),
            )
        ]
        if known:
            true = _images(source, place, ["sharp", "true_flow"], window)
            tiles.append(Tile("Sharp; true flow", true))
        tiles += [
            Tile(
                _scored(row.label, result.frames[key].get("psnr")),
                _images(result, place, ["restored", "predicted_flow"], window),
            )
            for row, result in shown
        ]
        frames.append(FrameCrops(key, tiles))
    return frames


def _window(result: RunResult, place: int) -> tuple[int, int, int, int]:
    """The square (left, top, right, bottom) in which blurry and sharp frame differ most."""
    blurry, sharp = (
        np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
        for path in (result.image(place, "blurry"), result.image(place, "sharp"))
        if path is not None
    )
    errors = ((blurry - sharp) ** 2).sum(axis=2)
    side = min(_SIDE, *errors.shape)
    # Sums over all squares at once, from those over all corners.
    corner = np.pad(errors.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums = corner[side:, side:] - corner[:-side, side:] - corner[side:, :-side]
    sums += corner[:-side, :-side]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return left, top, left + side, top + side


def _images(
    result: RunResult, place: int, names: Sequence[str], window: tuple[int, int, int, int]
) -> list[tuple[str, str]]:
    paths = [(name.replace("_", " "), result.image(place, name)) for name in names]
    return [(name, _data_uri(path, window)) for name, path in paths if path is not None]


def _data_uri(path: Path, window: tuple[int, int, int, int]) -> str:
    file = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").crop(window).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _scored(label: str, psnr: float | None) -> str:
    return label if psnr is None else f"{label}, {psnr:.2f} dB"
