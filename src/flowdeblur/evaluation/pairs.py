"""Temporal metrics: of a frame together with the previous one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.errors import UserError
from flowdeblur.evaluation.scorer import FrameMetric, PairMetric
from flowdeblur.evaluation.temporal import visible
from flowdeblur.extras import import_extra
from flowdeblur.ops.warp import backward_warp

Image = NDArray[np.uint8]

_GRID, _MARGIN = 32, 16


class FlowDifference(PairMetric):
    """tOF: how much the motion of the restored frames differs from that of the sharp frames.

    Chu et al., "Learning Temporal Coherence via Self-Supervision for GAN-based Video Generation"
    (TecoGAN), SIGGRAPH 2020: mean length, in pixels, of the difference between two flows by
    Farneback's method, one between restored frames and one between sharp ones. As in the authors'
    evaluation, frames are 8-bit grey and the flow is compared in a centred window whose sides are
    multiples of 32, at least 8 pixels from the border. Range: 0 or more; lower is better. Needs
    sharp frames. (The paper's tables print it times 10.)

    Raises:
        UserError: OpenCV is not installed.
    """

    def __init__(self) -> None:
        self._cv2: Any = import_extra("cv2", "metrics")

    def compare(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Compare the flows of two frames, (2, 3, H, W) each; H and W at least 48."""
        difference = self._flow(restored) - self._flow(sharp)
        height, width = difference.shape[:2]
        rows, columns = (max(side - _MARGIN, 0) // _GRID * _GRID for side in (height, width))
        if not rows or not columns:
            raise UserError(
                f"frames of {width}x{height} pixels are too small: tOF needs 48x48; leave it out"
            )
        top, left = (height - rows) // 2, (width - columns) // 2
        window = difference[top : top + rows, left : left + columns]
        return restored.new_tensor(float(np.linalg.norm(window, axis=-1).mean()))

    def _flow(self, frames: Tensor) -> NDArray[np.float32]:
        before, after = (
            self._cv2.cvtColor(each, self._cv2.COLOR_RGB2GRAY) for each in _images(frames)
        )
        # Scale of the pyramid, its levels, window, iterations, neighbourhood and its sigma, flags.
        options = (0.5, 3, 15, 3, 5, 1.2, 0)
        flow: NDArray[np.float32] = self._cv2.calcOpticalFlowFarneback(
            before, after, None, *options
        )
        return flow


class Flicker(PairMetric):
    """Change of a frame along its own motion, which needs no sharp frames.

    The current frame is brought onto the previous one along the optical flow between the two (DIS),
    and compared where that flow says that both see the same
    (:func:`~flowdeblur.evaluation.temporal.visible`). Root mean square in levels of 255. Range: 0
    to 255; lower is steadier. Blur lowers it: compare frames of like sharpness.

    Raises:
        UserError: OpenCV is not installed.
    """

    def __init__(self) -> None:
        self._estimate = DenseInverseSearch()

    def compare(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Compare two frames (2, 3, H, W); NaN where nothing is visible in both."""
        before, after = _images(restored)
        forward, backward = (
            self._estimate(one, other)[None].to(restored.device)
            for one, other in ((before, after), (after, before))
        )
        mask = visible(forward, backward).expand(1, 3, -1, -1)
        if not mask.any():
            return restored.new_tensor(math.nan)
        frames = restored.clamp(0, 1)
        error = frames[:1] - backward_warp(frames[1:], forward)
        return 255 * error[mask].double().square().mean().sqrt().to(restored.dtype)


class DistanceDifference(PairMetric):
    """tLP: how much the perceptual change from frame to frame differs from that of sharp frames.

    Chu et al. (TecoGAN, see :class:`FlowDifference`): ``|d(r[t-1], r[t]) - d(s[t-1], s[t])|`` with
    a distance d such as LPIPS. Range: 0 or more; lower is better. Needs sharp frames. (The paper's
    tables print it times 100.)

    Args:
        distance: a metric of two images, such as :class:`~flowdeblur.evaluation.perceptual.LPIPS`.
    """

    def __init__(self, distance: FrameMetric) -> None:
        self._distance = distance

    def compare(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Compare the distances of two frames, (2, 3, H, W) each."""
        frames = torch.stack((restored.clamp(0, 1), sharp), dim=1)
        distances = self._distance(frames[0], frames[1])
        return (distances[0] - distances[1]).abs()


def _images(frames: Tensor) -> list[Image]:
    """Frames (T, 3, H, W) as they would be saved: (H, W, 3) uint8 each."""
    levels = (frames.clamp(0, 1) * 255).round().to(torch.uint8)
    return [each.permute(1, 2, 0).contiguous().cpu().numpy() for each in levels]
