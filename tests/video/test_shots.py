from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from tests.video.clips import Pick, make_image, number, scene

from flowdeblur.video.clip import Frame
from flowdeblur.video.restore import restore_frames
from flowdeblur.video.shots import FrameSignature, Shots, is_cut
from flowdeblur.video.windows import windows


def shots(images, **options):
    """How many frames each shot has."""
    frames = [Frame(image, str(i), Fraction(i)) for i, image in enumerate(images)]
    return [len(list(shot)) for _, shot in itertools.groupby(frames, Shots(**options))]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(90, 160), (160, 90), (47, 63), (720, 1280)])
def test_a_cut_is_found(depth, size):
    one, other = (
        scene(seed, size).astype(depth) * (1 if depth == np.uint8 else 257) for seed in (0, 1)
    )
    assert shots([one, one, other, other, other, one]) == [2, 3, 1]
    assert shots([one, one, other, other], cuts=False) == [4]


def test_motion_is_no_cut():
    wide = scene(0, (300, 400))
    pan = [wide[shift : shift + 180, 2 * shift : 2 * shift + 320] for shift in range(0, 40, 8)]
    assert shots(pan) == [5]


def test_a_lamp_that_is_switched_on_is_no_cut():
    dark = scene(0)
    flash = (dark * 0.8 + 51).astype(np.uint8)
    colours = (
        1 - np.minimum(FrameSignature.of(dark).histogram, FrameSignature.of(flash).histogram).sum()
    )
    assert colours > 0.3
    assert shots([dark, flash, dark]) == [3]


def test_a_fade_to_black_is_no_row_of_cuts():
    fading = [(scene(0) * share).astype(np.uint8) for share in np.linspace(1, 0, 15)]
    assert shots(fading) in ([15], [14, 1])


def test_sensor_noise_in_the_dark_is_no_cut():
    noise = np.random.default_rng(0)
    assert shots([noise.integers(0, 20, (90, 160, 3), np.uint8) for _ in range(5)]) == [5]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2)])
def test_tiny_frames_have_a_look(size):
    black, white = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    assert FrameSignature.of(black).histogram.sum() == pytest.approx(1)
    assert not is_cut(FrameSignature.of(black), FrameSignature.of(black))
    assert is_cut(FrameSignature.of(black), FrameSignature.of(white))


def clip_with_a_cut():
    """Numbers 0 .. 2 in one scene and 3 .. 5 in another."""
    images = [make_image(i) if i < 3 else make_image(i)[::-1, ::-1] // 2 + 90 for i in range(6)]
    return [Frame(image, str(i), Fraction(i)) for i, image in enumerate(images)]


@pytest.mark.parametrize(
    ("offsets", "cuts", "pairs"),
    [
        ((0, 1), True, ["01", "12", "21", "34", "45", "54"]),
        ((0, 1), False, ["01", "12", "23", "34", "45", "54"]),
        ((-1, 0, 1), True, ["101", "012", "121", "434", "345", "454"]),
        ((0,), True, list("012345")),
    ],
)
def test_no_neighbour_is_taken_across_a_cut(offsets, cuts, pairs):
    found = windows(clip_with_a_cut(), offsets, cuts=cuts)
    assert ["".join(frame.name for frame in window.frames) for window in found] == pairs


def test_a_damaged_frame_passes_through_and_helps_no_other():
    frames = [Frame(make_image(i), str(i), Fraction(i), damaged=i == 2) for i in range(5)]
    restored = [each.after for each in restore_frames(Pick((0, 1), 1), frames)]
    assert [number(frame.image) for frame in restored] == [1, 0, 2, 4, 3]
    assert restored[2] is frames[2]
