"""End-point errors that a predicted flow has to beat: zero flow and OpenCV's DIS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.errors import UserError
from flowdeblur.evaluation.metrics import end_points
from flowdeblur.types import Batch


def flow_baselines(
    batch: Batch, frame_offsets: Sequence[int], flow_offsets: Sequence[int]
) -> dict[str, Tensor]:
    """End-point errors of zero flow and of DIS between the same blurry frames.

    Args:
        batch: with the true flow to each of ``flow_offsets``.
        frame_offsets: offsets of the frames in the batch.
        flow_offsets: the neighbours.

    Returns:
        ``epe_of_zero`` and, if OpenCV is installed, ``epe_of_dis``; each (B,) in pixels, over the
        visible pixels.
    """
    truth, visible = batch["flow"], batch.get("visible")
    flows = {"epe_of_zero": torch.zeros_like(truth)}
    try:
        search = DenseInverseSearch()
    except UserError:
        pass
    else:
        images = (batch["frames"].clamp(0, 1) * 255).round().byte().movedim(2, -1).cpu().numpy()
        current = frame_offsets.index(0)
        others = [frame_offsets.index(offset) for offset in flow_offsets]
        estimates = [
            torch.cat([search(frames[current], frames[other]) for other in others])
            for frames in images
        ]
        flows["epe_of_dis"] = torch.stack(estimates).to(truth)
    mask = torch.ones_like(truth[:, ::2]) if visible is None else visible.to(truth.dtype)
    count = mask.sum((1, 2, 3)).clamp(min=1)
    return {
        name: (end_points(flow, truth) * mask).sum((1, 2, 3)) / count
        for name, flow in flows.items()
    }
