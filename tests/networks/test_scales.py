from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from skimage import data
from tests.video.clips import Pick

from flowdeblur.errors import UserError
from flowdeblur.networks.inference import infer
from flowdeblur.networks.scales import FULL, AutoScale, choose_scale
from flowdeblur.types import Restoration


class Brighten(Pick):
    """Adds a constant, and notes the sizes that it sees."""

    def forward(self, frames, *, keep_rnn_weights=False):
        self.sizes = [*getattr(self, "sizes", []), tuple(frames.shape[-2:])]
        return Restoration(frames[:, self.current_index] + 0.1)


class Mean(Pick):
    """The mean of all frames, which shows what each scale was given."""

    def forward(self, frames, *, keep_rnn_weights=False):
        return Restoration(frames.mean(1))


def smooth(*shape):
    """Frames without fine detail, which lower scales lose."""
    return F.interpolate(0.2 + 0.6 * torch.rand(*shape, 3, 4), (64, 96), mode="bilinear")


@pytest.mark.parametrize(("scales", "factor"), [((0.5,), 1), ((0.25, 0.5), 2), ((0.5, 1.0), 2)])
def test_the_enlarged_difference_is_added_at_each_scale(scales, factor):
    frames = torch.rand(2, 2, 3, 63, 97) * 0.5 + 0.1
    network = Brighten()
    restored = infer(network, frames, scale=scales).restored
    torch.testing.assert_close(restored, frames[:, 0] + factor * 0.1, atol=1e-5, rtol=0)
    sizes = [(round(63 * each), round(97 * each)) for each in scales]
    # Before the last scale both frames of the window are restored.
    assert network.sizes == [each for each in sizes[:-1] for _ in range(2)] + [sizes[-1]]


def test_fine_detail_of_the_input_is_kept_at_lower_scales():
    frames = torch.rand(1, 2, 3, 64, 96)
    torch.testing.assert_close(
        infer(Pick().eval(), frames, scale=(0.25,)).restored, frames[:, 0], atol=1e-5, rtol=0
    )


def test_each_frame_of_a_window_is_restored_with_the_neighbours_that_it_has():
    frames = smooth(2, 3).view(1, 2, 3, 64, 96)
    one, two = frames[:, 0], frames[:, 1]
    restored = infer(Mean(), frames, scale=(0.5, 1.0)).restored
    # The mean of two frames is the same for both, and again their mean.
    torch.testing.assert_close(restored, (one + two) / 2, atol=0.02, rtol=0)


def test_with_a_lower_scale_there_are_no_flows():
    assert infer(Brighten(), torch.rand(1, 2, 3, 32, 32), scale=(0.5,)).flows == ()


def test_tiles_and_scales_go_together():
    frames = torch.rand(1, 2, 3, 100, 500) * 0.5
    network = Brighten()
    restored = infer(network, frames, scale=(0.5,), tile=128).restored
    torch.testing.assert_close(restored, frames[:, 0] + 0.1, atol=1e-5, rtol=0)
    assert set(network.sizes) == {(50, 128), (50, 122), (50, 58), (50, 64)} & set(network.sizes)
    assert max(width for _, width in network.sizes) <= 128


def test_auto_follows_the_blur_of_a_clip_slowly():
    choices = [(5.0, FULL), (float("inf"), (0.5,))]
    sharp = torch.from_numpy(data.cat().copy()).permute(2, 0, 1)[None].float() / 255
    soft = F.avg_pool2d(F.pad(sharp, (12, 12, 0, 0), mode="reflect"), (1, 25), 1)
    at_once, slow = AutoScale(0, choices), AutoScale(0.9, choices)
    assert [at_once(each) for each in (sharp, soft, sharp)] == [FULL, (0.5,), FULL]
    assert [slow(each) for each in (sharp, soft)] == [FULL, FULL]


@pytest.mark.parametrize(
    ("size", "blur", "expected"),
    [
        ((360, 640), 8.0, FULL),
        ((360, 640), 20.0, (0.5,)),
        ((720, 1280), 5.0, FULL),
        ((720, 1280), 8.0, (0.5, 1.0)),
        ((1920, 1080), 20.0, (0.5, 1.0)),
        ((1280, 480), 8.0, FULL),
    ],
)
def test_auto_starts_at_half_size_where_frames_are_large(monkeypatch, size, blur, expected):
    monkeypatch.setattr(
        "flowdeblur.networks.scales.estimate_blur", lambda images: torch.tensor([blur])
    )
    assert AutoScale()(torch.zeros(1, 3, *size)) == expected


@pytest.mark.parametrize(
    ("value", "scales"),
    [("1", FULL), (0.5, (0.5,)), ("0.25,0.5,1", (0.25, 0.5, 1.0)), ([0.5, 1], (0.5, 1.0))],
)
def test_scales_are_read(value, scales):
    assert choose_scale(value) == scales


@pytest.mark.parametrize("value", ["", "0", "2", "1,0.5", "half", "nan", "0.5,", [], None])
def test_other_values_are_refused(value):
    with pytest.raises(UserError, match="must be auto, a number above 0"):
        choose_scale(value)
