from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from tests.video.clips import Pick, make_image, number

from flowdeblur.errors import RuntimeFailureError
from flowdeblur.neighbours import neighbour
from flowdeblur.types import Restoration
from flowdeblur.video.clip import Frame
from flowdeblur.video.restore import restore_frames
from flowdeblur.video.windows import windows

CPU = torch.device("cpu")


def clip(count):
    return [Frame(make_image(i), f"frame {i}", Fraction(i, 25), b"profile") for i in range(count)]


def restore(network, frames, **options):
    return [each.after for each in restore_frames(network, frames, **options)]


def numbers(network, count):
    return [number(frame.image) for frame in restore(network, clip(count), device=CPU)]


def test_frames_pass_through_unchanged():
    for before, after in zip(clip(5), restore(Pick(), clip(5), device=CPU), strict=True):
        np.testing.assert_array_equal(after.image, before.image)
        assert after.image.dtype == np.uint8
        assert (after.name, after.time, after.profile) == (before.name, before.time, b"profile")


def test_every_depth_comes_back():
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    (after,) = restore(Pick(), [Frame(values, "", Fraction(0))], device=CPU)
    assert after.image.dtype == np.uint16
    np.testing.assert_array_equal(after.image, values)


def test_the_next_frame_is_the_neighbour_and_for_the_last_its_predecessor():
    assert numbers(Pick((0, 1), 1), 5) == [1, 2, 3, 4, 3]
    assert numbers(Pick((0, 1), 0), 5) == [0, 1, 2, 3, 4]


def test_both_neighbours_are_paired():
    assert numbers(Pick((-1, 0, 1), -1), 4) == [1, 0, 1, 2]
    assert numbers(Pick((-1, 0, 1), 1), 4) == [1, 2, 3, 2]


def test_the_order_of_offsets_is_the_networks():
    assert numbers(Pick((1, 0), 1), 3) == [1, 2, 1]


def test_wider_windows():
    assert numbers(Pick((-2, 0, 2), 2), 5) == [2, 3, 4, 1, 2]
    assert numbers(Pick((-2, 0, 2), 2), 2) == [1, 1]


def test_a_neighbour_is_in_the_clip_and_another_frame_if_there_is_one():
    for count, offset in itertools.product(range(1, 7), range(-4, 5)):
        for index in range(count):
            other = neighbour(index, offset, count)
            assert 0 <= other < count, (index, offset, count)
            if 0 <= index + offset < count:
                assert other == index + offset
            elif offset and count > 1:
                assert other != index or abs(offset) >= count, (index, offset, count)


def test_a_network_of_one_frame(caplog):
    assert numbers(Pick((0,)), 3) == [0, 1, 2]
    assert numbers(Pick((0,)), 1) == [0]
    assert not caplog.messages


def test_a_single_frame_is_paired_with_itself_and_says_so(caplog):
    assert numbers(Pick((-1, 0, 1), 1), 1) == [0]
    (message,) = caplog.messages
    assert message.startswith("a single frame: without a second one")


@pytest.mark.parametrize("batch", [2, 3, 20])
@pytest.mark.parametrize("offset", [-1, 1])
def test_batches_change_nothing(batch, offset):
    network = Pick((-1, 0, 1), offset)
    restored = list(restore(network, clip(8), device=CPU, batch=batch))
    assert [frame.name for frame in restored] == [f"frame {i}" for i in range(8)]
    assert network.batches == [batch] * (8 // batch) + ([8 % batch] if 8 % batch else [])
    assert [number(frame.image) for frame in restored] == numbers(Pick((-1, 0, 1), offset), 8)


def test_frames_that_are_done_are_left_out():
    network = Pick((0, 1), 1)
    restored = list(restore(network, clip(5), device=CPU, done={"frame 0", "frame 3"}))
    assert [(each.name, number(each.image)) for each in restored] == [
        ("frame 1", 2),
        ("frame 2", 3),
        ("frame 4", 3),
    ]
    assert network.batches == [1, 1, 1]


def test_bf16_is_by_choice():
    class Precision(Pick):
        def forward(self, frames, *, keep_rnn_weights=True):
            weight = torch.eye(3)[:, :, None, None]
            return Restoration(torch.nn.functional.conv2d(frames[:, 0], weight))

    rounded = torch.arange(256).div(255).bfloat16().float().mul(255).round().to(torch.uint8)
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    for dtype, expected in ((torch.float32, np.arange(256)), (torch.bfloat16, rounded.numpy())):
        frame = Frame(values, "", Fraction(0))
        (after,) = restore(Precision((0,)), [frame], device=CPU, dtype=dtype)
        np.testing.assert_array_equal(after.image[..., 0].ravel(), expected)


def test_no_frames():
    assert numbers(Pick(), 0) == []


@pytest.mark.parametrize(
    ("offsets", "reach"), [((0,), 0), ((0, 1), 1), ((-1, 0, 1), 1), ((-2, 0), 2)]
)
def test_no_more_frames_are_read_and_held_than_the_network_needs(offsets, reach):
    alive = set()

    class Tracked(Frame):
        def __del__(self):
            alive.discard(int(self.name))

    def read():
        for index in range(20):
            alive.add(index)
            yield Tracked(make_image(0, (2, 2)), str(index), Fraction(index))

    for index, window in enumerate(windows(read(), offsets)):
        assert window.current.name == str(index)
        assert max(alive) <= index + reach
        del window
        assert len(alive) <= 2 * reach + 2


def test_values_are_rounded_and_clamped():
    class Shift(Pick):
        def forward(self, frames, *, keep_rnn_weights=True):
            return Restoration(frames[:, 0] + self.by / 255)

    network = Shift((0,))
    image = np.array([[[0, 100, 255]]], np.uint8)
    for by, expected in ((0.4, [0, 100, 255]), (0.6, [1, 101, 255]), (-0.6, [0, 99, 254])):
        network.by = by
        (after,) = restore(network, [Frame(image, "", Fraction(0))], device=CPU)
        assert after.image.ravel().tolist() == expected


@pytest.mark.parametrize("full", [lambda: torch.empty(10**15), lambda: _raise_out_of_memory()])
def test_short_memory_is_a_failure(full):
    class Greedy(Pick):
        def forward(self, frames, *, keep_rnn_weights=True):
            full()

    with pytest.raises(
        RuntimeFailureError, match="too little memory for 64x48 frames; use smaller tiles"
    ):
        list(restore(Greedy(), clip(2), device=CPU))


def _raise_out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_values_that_are_not_finite_are_a_failure():
    class Broken(Pick):
        def forward(self, frames, *, keep_rnn_weights=True):
            return Restoration(frames[:, 0] * float("nan"))

    with pytest.raises(RuntimeFailureError, match="output is not finite; its weights are damaged"):
        list(restore(Broken(), clip(2), device=CPU))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_gpu_by_default():
    deep = [Frame(each.image.astype(np.uint16) * 257, "", each.time) for each in clip(3)]
    network = Pick((0, 1), 1)
    network.register_buffer("weight", torch.ones(1))
    for frames in (clip(3), deep):
        restored = list(restore(network, frames))
        np.testing.assert_array_equal(restored[0].image, frames[1].image)
    assert network.weight.is_cuda
