"""Images side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from flowdeblur.networks.flow_guided import at_full_size
from flowdeblur.types import Batch, Restoration
from flowdeblur.viz.flow_wheel import flow_to_rgb

_GAP, _BAND = 4, 16
_WHITE = 255


def restoration_columns(batch: Batch, prediction: Restoration, current: int) -> dict[str, Tensor]:
    """Columns to show of a batch: blurry, restored, sharp, predicted and true flow.

    Both flows, of which the last neighbour's is shown, share one colour scale per sample: the true
    flow's longest vector.

    Args:
        batch: B samples.
        prediction: of the network.
        current: position of the frame to restore among the frames.

    Returns:
        Images (B, 3, H, W) in [0, 1] by caption.
    """
    height, width = batch["sharp"].shape[-2:]
    columns = {
        "blurry": batch["frames"][:, current],
        "restored": prediction.restored.clamp(0, 1),
        "sharp": batch["sharp"],
    }
    true_flow = batch["flow"][:, -2:] if "flow" in batch else None
    reach = None
    if true_flow is not None:
        reach = true_flow.norm(dim=1).amax((1, 2)).clamp(min=1).view(-1, 1, 1)
    if prediction.flows:
        flow = at_full_size(prediction.flows[-1][:, -2:], (height, width))
        columns["predicted flow"] = flow_to_rgb(flow, reach)
    if true_flow is not None:
        columns["true flow"] = flow_to_rgb(true_flow, reach)
    return columns


def panel(columns: dict[str, Tensor], rows: int, notes: Sequence[str] = ()) -> np.ndarray:
    """Arrange images: a column for each caption, a row for each sample.

    Args:
        columns: images (B, 3, H, W) in [0, 1] by caption, all of one size.
        rows: maximum number of samples shown.
        notes: a line under each row.

    Returns:
        (height, width, 3) uint8.
    """
    images = [to_bytes(column[:rows]) for column in columns.values()]
    count, height, width = images[0].shape[:3]
    row_height = height + _GAP + (_BAND if notes else 0)
    canvas = Image.new(
        "RGB",
        (len(images) * (width + _GAP) - _GAP, _BAND + count * row_height - _GAP),
        (_WHITE, _WHITE, _WHITE),
    )
    draw = ImageDraw.Draw(canvas)
    for column, (caption, batch) in enumerate(zip(columns, images, strict=True)):
        left = column * (width + _GAP)
        draw.text((left + 2, 2), caption, fill=(0, 0, 0))
        for row in range(count):
            canvas.paste(Image.fromarray(batch[row]), (left, _BAND + row * row_height))
    for row, note in enumerate(notes[:count]):
        draw.text((2, _BAND + row * row_height + height + 1), note, fill=(0, 0, 0))
    return np.asarray(canvas)


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """Images (B, 3, H, W) in [0, 1] as (B, H, W, 3) uint8, clamped and rounded."""
    array: NDArray[np.uint8] = (
        (images.detach().clamp(0, 1) * 255)
        .round()
        .to(torch.uint8)
        .permute(0, 2, 3, 1)
        .cpu()
        .numpy()
    )
    return array
