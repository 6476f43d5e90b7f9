"""What is seen between two frames of a video: both are moved along the flow and blended."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.extras import import_extra

_FLOOR = 1e-6
"""Weight of what is seen outside a frame, where the other frame sees nothing either."""


class Pair:
    """Two neighbouring frames, and the flow between them.

    The flow from an instant t to either frame is approximated from the flows between the frames
    (Jiang et al., Super SloMo, CVPR 2018, Eq. 4), and the frames are blended by their nearness in
    time. Where one of them would be sampled outside, only the other counts.

    Inverting the flow exactly, or giving less weight to a frame whose flow does not lead back, made
    synthesis slower, but the blurry frames no better on scenes whose true blur is known.

    Args:
        first: (3, H, W) linear light at time 0.
        second: (3, H, W) linear light at time 1.
        forward: (2, H, W) flow (dx, dy) in pixels from first to second.
        backward: (2, H, W) flow from second to first.
    """

    def __init__(self, first: Tensor, second: Tensor, forward: Tensor, backward: Tensor) -> None:
        self._frames = (first, second)
        self._flows = (forward, backward)
        self._cv2: Any = import_extra("cv2", "synthesis")

    def at(self, time: float) -> Tensor:
        """Return (3, H, W), what is seen at ``time`` in [0, 1]."""
        if time in (0, 1):
            return self._frames[int(time)]
        first, second = self._padded
        forward, backward, pixels = self._fields
        rest = 1 - time
        # Eq. 4: t (t backward - (1 - t) forward), and (1 - t) ((1 - t) forward - t backward).
        to_first = self._blend(backward, time * time, forward, -time * rest)
        one = self._sample(first, pixels + to_first)
        to_second = self._blend(forward, rest * rest, backward, -time * rest)
        two = self._sample(second, pixels + to_second)
        weight = rest * one[..., 3:].clamp(min=_FLOOR)
        other = time * two[..., 3:].clamp(min=_FLOOR)
        return torch.lerp(one, two, other / (weight + other)).permute(2, 0, 1)[:3]

    def _blend(
        self, one: NDArray[np.float32], a: float, other: NDArray[np.float32], b: float
    ) -> NDArray[np.float32]:
        blended: NDArray[np.float32] = self._cv2.addWeighted(one, a, other, b, 0)
        return blended

    def _sample(self, frame: NDArray[np.float32], places: NDArray[np.float32]) -> Tensor:
        """(H, W, 4), bilinearly; beyond the border the border is repeated."""
        return torch.from_numpy(
            self._cv2.remap(
                frame, places, None, self._cv2.INTER_LINEAR, borderMode=self._cv2.BORDER_REPLICATE
            )
        )

    @cached_property
    def _padded(self) -> tuple[NDArray[np.float32], ...]:
        """Frames (H + 2, W + 2, 4), light and 1 inside, with a border one pixel wide.

        The border repeats the outermost light and has 0 in the fourth channel: it shows what is
        sampled outside. OpenCV 5 samples four channels six times as fast as three.
        """
        height, width = self._frames[0].shape[1:]
        padded = []
        for light in self._frames:
            frame = np.zeros((height + 2, width + 2, 4), np.float32)
            frame[1:-1, 1:-1] = self._cv2.merge([*light.numpy(), np.ones_like(light[0].numpy())])
            frame[0, :, :3], frame[-1, :, :3] = frame[1, :, :3], frame[-2, :, :3]
            frame[:, 0, :3], frame[:, -1, :3] = frame[:, 1, :3], frame[:, -2, :3]
            padded.append(frame)
        return tuple(padded)

    @cached_property
    def _fields(self) -> tuple[NDArray[np.float32], ...]:
        """Both flows, and the places of the pixels in the padded frames: (H, W, 2) each."""
        height, width = self._frames[0].shape[1:]
        x, y = np.meshgrid(
            np.arange(1, width + 1, dtype=np.float32), np.arange(1, height + 1, dtype=np.float32)
        )
        return _last(self._flows[0]), _last(self._flows[1]), np.dstack([x, y])


def _last(planes: Tensor) -> NDArray[np.float32]:
    """(C, H, W) as (H, W, C)."""
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy(), dtype=np.float32)
