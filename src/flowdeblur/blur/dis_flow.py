"""Optical flow between sharp frames, by OpenCV's DIS (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.extras import import_extra


class DenseInverseSearch:
    """Estimates the flow between two frames.

    Args:
        fast: a tenth of the time, for a first look at the motion.

    Raises:
        UserError: OpenCV is not installed.
    """

    def __init__(self, *, fast: bool = False) -> None:
        self._cv2: Any = import_extra("cv2", "synthesis")
        # Its threads work on stripes of the image, whose borders show in the flow: with one
        # thread the flow is the same on every machine.
        self._cv2.setNumThreads(1)
        preset = "DISOPTICAL_FLOW_PRESET_" + ("FAST" if fast else "MEDIUM")
        self._search = self._cv2.DISOpticalFlow_create(getattr(self._cv2, preset))

    def __call__(self, image: NDArray[np.uint8], other: NDArray[np.uint8]) -> Tensor:
        """Estimate the flow (2, H, W), (dx, dy) in pixels, between two (H, W, 3) uint8 images."""
        grey, other_grey = (
            self._cv2.cvtColor(np.ascontiguousarray(each), self._cv2.COLOR_RGB2GRAY)
            for each in (image, other)
        )
        flow = self._search.calc(grey, other_grey, None)
        return torch.from_numpy(flow).permute(2, 0, 1).contiguous()

    @staticmethod
    def version() -> str:
        """Name the method and the release, which its results depend on."""
        return f"DIS, medium, of OpenCV {import_extra('cv2', 'synthesis').__version__}"
