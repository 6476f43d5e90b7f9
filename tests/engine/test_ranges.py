from __future__ import annotations

import math

import pytest

from flowdeblur.engine.ranges import RANGES, check_ranges
from flowdeblur.errors import UserError


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@pytest.mark.parametrize("key", RANGES)
def test_the_ends_of_a_range_are_inside(key):
    low, high = RANGES[key]
    for value in (low, high if high < math.inf else 10**30):
        check_ranges(nested(key, value))
        check_ranges(nested(key, [low, value]))
    check_ranges(nested(key, None))
    with pytest.raises(UserError, match=f"^{key}: must be"):
        check_ranges(nested(key, low - 1))
    if high < math.inf:
        with pytest.raises(UserError, match=f"^{key}: must be"):
            check_ranges(nested(key, [low, high + 1]))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(value):
    with pytest.raises(UserError, match=r"^objective.warping.weight: must be a finite number"):
        check_ranges({"objective": {"warping": {"weight": value}}})


INTERVALS = [(1, 1), (500, 1), (0.5, 0), (1.0, 0), (0, 0), (2.5, 0), (0.0, 0), (-3, 0)]


@pytest.mark.parametrize(("value", "fits"), INTERVALS)
def test_the_interval_of_validations(value, fits):
    settings = nested("trainer.val_check_interval", value)
    if fits:
        check_ranges(settings)
    else:
        with pytest.raises(
            UserError,
            match=r"^trainer.val_check_interval: must be (1 or more|a whole number of steps), got",
        ):
            check_ranges(settings)
