from __future__ import annotations

import numpy as np
import pytest

from flowdeblur.evaluation import AllFrames, NamedLike, Numbered, WithoutEnds

NAMES = [f"{number:05d}" for number in range(100)]


def test_all():
    assert AllFrames().choose(NAMES) == list(range(100))


@pytest.mark.parametrize(("first", "last", "count"), [(0, 1, 99), (2, 2, 96)])
def test_without_ends(first, last, count):
    chosen = WithoutEnds(first, last).choose(NAMES)
    assert len(chosen) == count
    assert (chosen[0], chosen[-1]) == (first, 99 - last)
    assert WithoutEnds(first, last).choose(NAMES[: first + last]) == []


def test_numbers_count_from_one_or_from_zero():
    assert [NAMES[i] for i in Numbered([2, 97], first=1).choose(NAMES)] == ["00001", "00096"]
    assert [NAMES[i] for i in Numbered([2, 97], first=0).choose(NAMES)] == ["00002", "00097"]


def test_numbers_beyond_a_short_clip_are_left_out():
    numbers = np.floor(np.linspace(2, 97, 30)).astype(int).tolist()
    assert Numbered(numbers, first=1).choose(NAMES[:10]) == [1, 4, 7]


def test_by_name():
    assert NamedLike("*9").choose(NAMES) == list(range(9, 100, 10))
    assert NamedLike("*9").choose(NAMES[5:15]) == [4]
