from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from tests.video.clips import Pick

from flowdeblur.networks.inference import infer, tile_difference
from flowdeblur.networks.tiles import spans
from flowdeblur.types import Restoration


class Local(Pick):
    """Averages over 5x5 pixels, so that tiles are exact but for their borders."""

    def forward(self, frames, *, keep_rnn_weights=True):
        self.sizes = [*getattr(self, "sizes", []), frames.shape[-2:]]
        return Restoration(torch.nn.functional.avg_pool2d(frames[:, 0], 5, 1, 2))


class Mean(Pick):
    """Every tile becomes its mean, as far from exact as can be."""

    def forward(self, frames, *, keep_rnn_weights=True):
        return Restoration(torch.zeros_like(frames[:, 0]) + frames[:, 0].mean((2, 3), keepdim=True))


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def test_tiles_cover_a_side_evenly():
    sizes = (1, 63, 128, 129, 192, 193, 300, 719, 1280, 3840)
    tiles = ((128, 64), (192, 64), (256, 128), (512, 64))
    for size, (tile, overlap) in itertools.product(sizes, tiles):
        found = spans(size, tile, overlap)
        assert (found[0].inside.start, found[-1].inside.stop) == (0, size)
        assert (found[0].before, found[-1].after) == (0, 0)
        for one, other in itertools.pairwise(found):
            assert one.after == other.before == one.inside.stop - other.inside.start >= overlap
        for each in found:
            assert each.inside.start % 64 == 0
            assert min(tile, size) - 63 <= each.inside.stop - each.inside.start <= tile
        enough = 1 if size <= tile else 1 + math.ceil((size - tile) / (tile - overlap))
        assert len(found) in (enough, enough + 1)


@pytest.mark.parametrize("size", [(100, 150), (200, 300), (1, 500)])
def test_an_unchanged_frame_comes_back_unchanged(size):
    frames = torch.rand(2, 2, 3, *size)
    restored = infer(Pick((0, 1), 1).eval(), frames, tile=128).restored
    torch.testing.assert_close(restored, frames[:, 1])


def test_a_local_network_differs_only_at_the_borders_of_tiles():
    frames = torch.rand(1, 2, 3, 128, 320)
    network, whole = Local(), Local()(frames).restored
    network.sizes = []
    off = (infer(network, frames, tile=192).restored - whole).abs().amax((0, 1, 2))
    # Tiles are 0 .. 192 and 128 .. 320: two columns near each border lack their surroundings.
    assert set(off.gt(1e-6).nonzero().ravel().tolist()) == {128, 129, 190, 191}
    assert network.sizes == [(128, 192), (128, 192)]


def test_seams_are_blended():
    frames = torch.linspace(0, 1, 320).expand(1, 2, 3, 128, 320)
    row = infer(Mean(), frames, tile=192).restored[0, 0, 5]
    left, right = frames[..., :192].mean(), frames[..., 128:].mean()
    torch.testing.assert_close(row[:128], left.expand(128))
    torch.testing.assert_close(row[192:], right.expand(128))
    steps = row[127:193].diff()
    assert steps.min() >= 0
    assert steps.max() < 1.1 * (right - left) / 64


def test_the_difference_is_measured():
    frames = torch.rand(1, 2, 3, 128, 320)
    one = infer(Mean(), frames, tile=192).restored.double().numpy()
    other = Mean()(frames).restored.double().numpy()
    off = tile_difference(Mean(), frames, 192)
    assert off.psnr == pytest.approx(-10 * np.log10(np.mean((one - other) ** 2)), abs=1e-4)
    assert off.largest == pytest.approx(255 * np.abs(one - other).max(), rel=1e-4)
    assert tile_difference(Pick().eval(), frames, 512).psnr == math.inf
