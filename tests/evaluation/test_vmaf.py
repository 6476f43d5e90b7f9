"""VMAF against scores of libvmaf."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from scipy.ndimage import gaussian_filter

from flowdeblur.errors import UserError
from flowdeblur.evaluation.vmaf import VMAF

# vmaf_v0.6.1 by libvmaf (86da14d) in ffmpeg n9.0.2 of imageio-ffmpeg 0.8.1, luma in yuv444p: the
# second frames of the clips of two frames below.
REFERENCE = (64.428502, 43.137307)


def clip(images):
    return torch.from_numpy(np.stack(images))[:, None].expand(-1, 3, -1, -1).float() / 255


def test_vmaf_is_that_of_libvmaf():
    photograph = skimage.data.camera()
    sharp = [photograph[100:228, 100 + 6 * time : 260 + 6 * time] for time in range(3)]
    soft = [
        np.rint(gaussian_filter(image.astype(float), sigma)).astype(np.uint8)
        for image, sigma in zip(sharp, (1, 1.5, 2), strict=True)
    ]
    metric = VMAF()
    scores = [
        metric.compare(clip(soft[start : start + 2]), clip(sharp[start : start + 2])).item()
        for start in (0, 1)
    ]
    assert scores == pytest.approx(REFERENCE, abs=0.05)
    assert metric.compare(clip(sharp[:2]), clip(sharp[:2])).item() == 100


def test_small_frames_are_named():
    with pytest.raises(UserError, match="31x40 pixels are too small: VMAF needs 32x32"):
        VMAF().compare(torch.zeros(2, 3, 40, 31), torch.zeros(2, 3, 40, 31))
