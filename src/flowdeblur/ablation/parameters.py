"""The values that a parameter of a sweep can take."""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from flowdeblur.errors import UserError

Value = str | int | float | bool | list[Any]

_KEYS = {"value", "values", "probabilities", "distribution", "min", "max", "q"}
_MAX_DEPTH, _MAX_TEXT = 4, 200  # of a value
_RANGES = ("uniform", "q_uniform", "int_uniform", "log_uniform_values", "q_log_uniform_values")


@dataclass(frozen=True)
class Choices:
    """One of several values.

    Attributes:
        values: in the file's order.
        probabilities: probability of each value; None makes them equal.
    """

    values: tuple[Value, ...]
    probabilities: tuple[float, ...] | None = None

    def draw(self, generator: random.Random) -> Value:
        """Draw a value."""
        return generator.choices(self.values, self.probabilities)[0]


@dataclass(frozen=True)
class Range:
    """A number between two bounds, both included.

    Attributes:
        low: lower bound.
        high: upper bound.
        log: whether the logarithm is uniformly distributed, instead of the number itself.
        step: distance between values; None allows any number.
        integer: whether the values are integers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    def draw(self, generator: random.Random) -> Value:
        """Draw a value."""
        if self.integer:
            return generator.randint(int(self.low), int(self.high))
        if self.log:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = generator.uniform(self.low, self.high)
        if self.step is not None:
            value = round(value / self.step) * self.step
        # Rounded, because a value is a part of names and command lines.
        return float(f"{min(max(value, self.low), self.high):.6g}")


Parameter = Choices | Range


def parameter(entry: Any, where: str) -> Parameter:
    """Read a parameter of a sweep file.

    Args:
        entry: the content below its name.
        where: file and name, for messages.

    Raises:
        UserError: the entry is not supported.
    """
    if not isinstance(entry, dict) or "parameters" in entry:
        raise UserError(f"{where}: write a dotted key, with value, values or a range below it")
    unknown = sorted(map(str, set(entry) - _KEYS))
    if unknown:
        raise UserError(f"{where}.{unknown[0]}: not supported; use {', '.join(sorted(_KEYS))}")
    if "value" in entry or "values" in entry:
        values = [entry["value"]] if "value" in entry else entry["values"]
        if not isinstance(values, list) or not values:
            raise UserError(f"{where}: values must be a list")
        for each in values:
            _check_value(each, where)
        probabilities = entry.get("probabilities")
        if probabilities is not None:
            _check_probabilities(probabilities, len(values), where)
        return Choices(tuple(values), tuple(probabilities) if probabilities else None)
    return _range(entry, where)


def _range(entry: dict[str, Any], where: str) -> Range:
    low, high, step = entry.get("min"), entry.get("max"), entry.get("q", 1.0)
    if not (_is_number(low) and _is_number(high) and low < high):
        raise UserError(f"{where}: set value, values, or min and a greater max, as numbers")
    whole = isinstance(low, int) and isinstance(high, int)
    kind = entry.get("distribution", "int_uniform" if whole else "uniform")
    if not isinstance(kind, str) or kind not in _RANGES:
        raise UserError(f"{where}.distribution: {kind!r:.40} is not one of {', '.join(_RANGES)}")
    log = "log" in kind
    if kind == "int_uniform" and not whole:
        raise UserError(f"{where}: min and max must be integers for int_uniform")
    if log and low <= 0:
        raise UserError(f"{where}: min must be above 0 for {kind}")
    if not (_is_number(step) and step > 0):
        raise UserError(f"{where}.q: {step!r:.40} is not a number above 0")
    stepped = step if kind.startswith("q_") else None
    return Range(float(low), float(high), log, stepped, kind == "int_uniform")


def tag(key: str, value: Value | None) -> str:
    """A value as a part of a name: a text as it is, a number after the last part of its key."""
    if isinstance(value, str):
        label = value
    else:
        numbers = value if isinstance(value, Sequence) else [value]
        label = key.rpartition(".")[2] + "x".join(
            f"{each:g}" if isinstance(each, float) else str(each) for each in numbers
        )
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", label)


def _check_value(value: Any, where: str, depth: int = 0) -> None:
    # W&B's agent writes values as Python does.
    if value is None and not depth:
        raise UserError(f"{where}: write 'null' in quotes; W&B would write None")
    if isinstance(value, list) and depth < _MAX_DEPTH:
        for each in value:
            _check_value(each, where, depth + 1)
    elif not isinstance(value, str | bool | None) and not _is_number(value):
        raise UserError(f"{where}: {value!r:.40} is not a text, a finite number, a flag or a list")
    elif isinstance(value, str) and len(value) > _MAX_TEXT:
        raise UserError(f"{where}: a value has {len(value):,} characters; at most {_MAX_TEXT}")


def _check_probabilities(values: Any, count: int, where: str) -> None:
    if not isinstance(values, list) or not all(_is_number(each) and each >= 0 for each in values):
        raise UserError(f"{where}.probabilities: must be a list of numbers from 0")
    if len(values) != count or not sum(values) > 0:
        raise UserError(
            f"{where}: {len(values)} probabilities of sum {sum(values):g} for {count} values"
        )


def _is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number that float can represent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < sys.float_info.max
