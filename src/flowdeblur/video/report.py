"""What became of a clip."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from flowdeblur.networks.inference import Difference


class BlurRow(NamedTuple):
    """Estimated blur of a frame: its name, time in seconds, blur in pixels, whether restored."""

    frame: str
    time: float
    blur_px: float
    restored: bool


@dataclass
class Report:
    """What became of a clip.

    Attributes:
        path: the output.
        device: where the network ran.
        dtype: in which precision.
        tile: height and width of tiles in pixels; None for whole frames.
        tiles_chosen: whether tiles were chosen because memory is short.
        difference: what tiles change on the first frame, if it was measured.
        comparison: the comparison video, if one was written.
        frames: number of frames written by this call.
        restored: number of frames that the network restored; the others passed through.
        blurs: estimated blur of each frame, where it was needed.
        seconds: time taken.
        damage: what is wrong with the input although it was restored; None if nothing.
    """

    path: Path
    device: torch.device
    dtype: torch.dtype
    tile: int | None
    tiles_chosen: bool
    difference: Difference | None = None
    comparison: Path | None = None
    frames: int = 0
    restored: int = 0
    blurs: list[BlurRow] = field(default_factory=list)
    seconds: float = 0.0
    damage: str | None = None


def blur_table(rows: Sequence[BlurRow]) -> str:
    """Write the estimated blur of frames as CSV, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(BlurRow._fields)
    writer.writerows((name, f"{time:.6f}", f"{blur:.3f}", int(r)) for name, time, blur, r in rows)
    return text.getvalue()
