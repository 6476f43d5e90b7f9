"""Detections drawn on frames (Fig. 7 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image, ImageDraw

from flowdeblur.evaluation.detection import Detected
from flowdeblur.viz.drawing import Drawn
from flowdeblur.viz.panels import panel

_MATCHED, _OTHER = (60, 220, 90), (240, 70, 60)


def draw_detections(found: Mapping[str, Detected]) -> Drawn:
    """Draw the same frame of several methods side by side, with its boxes.

    Boxes that match one on the sharp frame are green, others red.

    Args:
        found: frames of one size by name of the method.
    """
    columns = {}
    for name, each in found.items():
        canvas = Image.fromarray(each.image)
        draw = ImageDraw.Draw(canvas)
        for box, matched in zip(each.boxes.tolist(), each.matched.tolist(), strict=True):
            draw.rectangle(box, outline=_MATCHED if matched else _OTHER, width=3)
        image = torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1)
        count = f"{len(each.boxes)} detected, {int(each.matched.sum())} as on the sharp frame"
        columns[f"{name.replace('_', ' ')}: {count}"] = image[None] / 255
    return panel(columns, rows=1)
