from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.video.clips import Pick

from flowdeblur.errors import UserError
from flowdeblur.networks.ensemble import check_size
from flowdeblur.networks.inference import infer
from flowdeblur.types import Restoration
from flowdeblur.weights import load


class Shift(Pick):
    """Moves the frame by one pixel to the right, which every view does in another direction."""

    def forward(self, frames, *, keep_rnn_weights=False):
        return Restoration(frames[:, self.current_index].roll(1, -1))


@pytest.fixture(scope="module")
def small():
    return load("small").eval()


@pytest.mark.parametrize(
    ("size", "moves"),
    [
        (1, [(0, 1)]),
        (2, [(0, 1), (0, -1)]),
        (4, [(0, 1), (0, -1)] * 2),
        (8, [(0, 1), (0, -1), (1, 0), (-1, 0)] * 2),
    ],
)
def test_the_mean_of_all_views_turned_back(size, moves):
    frames = torch.rand(2, 2, 3, 64, 96)
    restored = infer(Shift().eval(), frames, ensemble=size).restored
    expected = torch.stack([frames[:, 0].roll(move, (-2, -1)) for move in moves]).mean(0)
    torch.testing.assert_close(restored, expected)


def test_the_real_network_against_numpy(small):
    frames = torch.rand(1, 2, 3, 64, 128)
    turns = (
        lambda x: x,
        lambda x: np.flip(x, -1),
        lambda x: np.flip(x, -2),
        lambda x: np.rot90(x, 2, (-2, -1)),
    )  # each undoes itself
    parts = []
    for turn in turns:
        view = torch.from_numpy(np.ascontiguousarray(turn(frames.numpy())))
        parts.append(turn(infer(small, view).restored.numpy()))
    restored = infer(small, frames, ensemble=4).restored.numpy()
    np.testing.assert_allclose(restored, np.mean(parts, 0), atol=1e-5)


def test_a_frame_on_its_side_is_restored_alike(small):
    frames = torch.rand(1, 2, 3, 64, 128)
    turned = torch.rot90(frames, 1, (-2, -1))
    one, other = (infer(small, each, ensemble=8).restored for each in (frames, turned))
    torch.testing.assert_close(torch.rot90(one, 1, (-2, -1)), other, atol=1e-5, rtol=0)
    single = [infer(small, each).restored for each in (frames, turned)]
    assert (torch.rot90(single[0], 1, (-2, -1)) - single[1]).abs().max() > 1e-3


def test_views_with_tiles_and_scales(small):
    frames = torch.rand(1, 2, 3, 256, 320)
    whole = infer(small, frames, ensemble=8).restored
    torch.testing.assert_close(
        infer(small, frames, ensemble=8, tile=192).restored, whole, atol=1e-5, rtol=0
    )
    lower = infer(Pick().eval(), frames, ensemble=8, scale=(0.25, 1.0)).restored
    torch.testing.assert_close(lower, frames[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [0, 3, 16])
def test_other_numbers_of_views_are_refused(size):
    with pytest.raises(UserError, match=f"--ensemble {size}: must be one of 1, 2, 4, 8"):
        check_size(size, "--ensemble ")
