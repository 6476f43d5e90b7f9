"""What flows from the data to the tasks."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torch import Tensor


class Batch(TypedDict):
    """B samples of one size.

    Attributes:
        frames: (B, T, 3, H, W), RGB in [0, 1], in the order of the network's ``frame_offsets``.
        sharp: (B, 3, H, W), the ground truth of the frame at offset 0.
        key: B texts that name clip and frame.
        flow: (B, 2 N, H, W), true flow (dx, dy) in pixels to each neighbour in the network's
            ``flow_offsets``.
        visible: (B, N, H, W) bool, false where the flow's target is occluded or outside.
    """

    frames: Tensor
    sharp: Tensor
    key: list[str]
    flow: NotRequired[Tensor]
    visible: NotRequired[Tensor]
