from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data
from tests.video.clips import Pick, make_image, scene

import flowdeblur
from flowdeblur.errors import UserError
from flowdeblur.types import Restoration
from flowdeblur.video.controls import Controls, FrameRange, grain
from flowdeblur.video.settings import Settings


class Invert(Pick):
    """A change that cannot be missed."""

    def forward(self, frames, *, keep_rnn_weights=False):
        self.calls = getattr(self, "calls", 0) + len(frames)
        return Restoration(1 - frames[:, self.current_index])


def restored(frames, network=None, **settings):
    network = network or Invert()
    options = {"device": "cpu", "dtype": "float32", **settings}
    return list(flowdeblur.restore(frames, network, **options))


def test_seconds_of_a_range_count_from_the_first_frame():
    images = [make_image(index) for index in range(4)]
    times = [1.4, 1.6, 1.8, 2.0]  # as in a transport stream
    after = restored(images, range="0.2s-0.5s", times=times)
    changed = [bool((one != other).any()) for one, other in zip(images, after, strict=True)]
    assert changed == [False, True, True, False]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_strength_blends(dtype):
    top = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
    image = (np.random.default_rng(0).random((20, 30, 3)) * top).astype(dtype)
    network = Invert()
    (kept,) = restored([image], network, strength=0.0)
    np.testing.assert_array_equal(kept, image)
    assert kept.dtype == dtype
    assert not hasattr(network, "calls")
    (full,), (default,) = restored([image], strength=1.0), restored([image])
    np.testing.assert_array_equal(full, default)
    (half,) = restored([image], strength=0.5)
    np.testing.assert_allclose(half.astype(float), top / 2, atol=1e-6 * top + (top > 1))


def test_a_blend_counts_a_restored_value_as_it_is_seen():
    before, restored = torch.full((3, 8, 8), 0.5), torch.full((3, 8, 8), 1.4)
    blend = Controls(strength=0.5).finish(before, restored)
    torch.testing.assert_close(blend, torch.full((3, 8, 8), 0.75))


def test_values_beyond_white_are_kept():
    image = np.full((16, 16, 3), 1.5, np.float32)
    image[0] = -0.25
    (kept,) = restored([image], Pick())
    np.testing.assert_allclose(kept, image, atol=1e-6)


def test_only_blurry_frames_change():
    sharp = data.cat()
    tensor = torch.from_numpy(sharp.copy()).permute(2, 0, 1)[None].float()
    smeared = F.avg_pool2d(F.pad(tensor, (15, 15, 0, 0), mode="reflect"), (1, 31), 1)
    blurry = smeared[0].permute(1, 2, 0).to(torch.uint8).numpy()
    clip = [sharp, sharp, blurry, blurry, sharp]
    network = Invert()
    after = restored(clip, network, only_blurry=5.0, cuts=False)
    assert [bool((a == b).all()) for a, b in zip(after, clip, strict=True)] == [
        *(True, True, False, False, True)
    ]
    assert network.calls == 2
    np.testing.assert_array_equal(after[2], 255 - blurry)


@pytest.mark.parametrize(
    ("text", "inside"),
    [("1-3", [1, 2, 3]), ("-1", [0, 1]), ("4-", [4, 5]), ("1s-2s", [2, 3]), ("2.5s-", [5])],
)
def test_frames_outside_the_range_pass_through(text, inside):
    clip = [make_image(index) for index in range(6)]
    after = restored(clip, range=text, times=[index / 2 for index in range(6)])
    changed = [i for i, (a, b) in enumerate(zip(after, clip, strict=True)) if (a != b).any()]
    assert changed == inside


@pytest.mark.parametrize("text", ["", "-", "5", "3-1", "2s-1s", "1s-1s", "1s-20", "1.5-2", "a-b"])
def test_other_ranges_are_refused(text):
    with pytest.raises(UserError, match="--range"):
        FrameRange.parse(text)


def test_grain_comes_back_where_the_frame_is_smooth_and_edges_stay_sharp():
    clean = torch.from_numpy(scene(3).copy()).permute(2, 0, 1).float() / 255
    noise = 0.02 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    added = grain(clean + noise, clean)
    fine = noise - F.avg_pool2d(noise[None], 5, 1, 2)[0]
    agreement = torch.corrcoef(torch.stack([added.flatten(), fine.flatten()]))[0, 1]
    assert agreement > 0.8
    assert 0.5 < added.std() / noise.std() < 1.1
    step = torch.zeros(3, 40, 60)
    step[:, :, 30:] = 1
    soft = F.avg_pool2d(F.pad(step[None], (4, 4, 0, 0), mode="replicate"), (1, 9), 1)[0]
    assert grain(soft, step).abs().max() < 1e-3  # the blur of the input does not come back
    same = torch.rand(3, 30, 30)
    assert grain(same, same).abs().max() == 0


def test_keep_grain_is_applied_before_strength():
    before, after = torch.rand(3, 30, 40), torch.full((3, 30, 40), 0.5)
    whole = Controls(keep_grain=True).finish(before, after)
    torch.testing.assert_close(
        Controls(keep_grain=True, strength=0.25).finish(before, after),
        0.75 * before + 0.25 * whole,
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"strength": 1.1}, "--strength 1.1: must be from 0 to 1"),
        ({"strength": float("nan")}, "--strength nan: must be from 0 to 1"),
        ({"only_blurry": -1}, "--only-blurry -1: must be pixels"),
        ({"scale": "big"}, "--scale big: must be auto"),
        ({"range": "1"}, "--range 1: write seconds"),
        ({"dtype": "int8"}, "--dtype int8: choose one of"),
        ({"compare": "x"}, "--compare x: choose one of"),
        ({"tile": 100}, "--tile 100: must be a multiple of 64"),
        ({"batch": 0}, "--batch 0: must be 1 or more"),
    ],
)
def test_values_out_of_range_are_refused(setting, message):
    with pytest.raises(UserError, match=message):
        Settings(**setting)


@pytest.mark.parametrize(
    "frames",
    [
        [np.zeros((4, 4), np.uint8)],
        [np.zeros((4, 4, 4), np.uint8)],
        [np.zeros((4, 4, 3), np.int32)],
        [np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)],
    ],
)
def test_arrays_that_are_no_frames_are_refused(frames):
    with pytest.raises(UserError, match=r"^frame [01]: "):
        restored(frames, Pick())
