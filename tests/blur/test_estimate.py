from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data

from flowdeblur.blur.estimate import estimate_blur


@pytest.fixture(scope="module")
def photo():
    """A sharp photograph, (3, 300, 451)."""
    return torch.from_numpy(data.cat().copy()).permute(2, 0, 1).float() / 255


def blurred(image, length, angle):
    """Average copies that are shifted along a line."""
    steps = np.linspace(-length / 2, length / 2, 4 * max(length, 1) + 1)
    copies = []
    for step in steps:
        dx, dy = step * math.cos(angle), step * math.sin(angle)
        theta = torch.tensor([[1, 0, 2 * dx / image.shape[2]], [0, 1, 2 * dy / image.shape[1]]])
        grid = F.affine_grid(theta[None].float(), (1, *image.shape), align_corners=False)
        copies.append(F.grid_sample(image[None], grid, padding_mode="border", align_corners=False))
    return torch.cat(copies).mean(0)


@pytest.mark.parametrize("angle", [0.0, 0.7, 1.57, 2.4])
def test_a_longer_blur_is_estimated_longer(photo, angle):
    lengths = [float(estimate_blur(blurred(photo, each, angle)[None])) for each in (2, 6, 12, 24)]
    assert lengths == sorted(lengths)
    assert lengths[0] < 6
    for length, estimate in zip((6, 12, 24), lengths[1:], strict=True):
        assert 0.5 * length < estimate < 2 * length + 2


def test_frames_of_a_batch_are_independent(photo):
    both = torch.stack([photo, blurred(photo, 12, 0.3)])
    torch.testing.assert_close(
        estimate_blur(both), torch.cat([estimate_blur(each[None]) for each in both])
    )


@pytest.mark.parametrize("size", [(1, 1), (31, 500), (32, 32), (33, 70), (64, 64), (200, 50)])
def test_flat_and_small_images_have_no_blur(size):
    assert estimate_blur(torch.full((2, 3, *size), 0.4)).tolist() == [0, 0]
    assert estimate_blur(torch.rand(1, 3, *size)).isfinite().all()
