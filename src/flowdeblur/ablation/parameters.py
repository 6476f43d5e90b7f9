"""The values that a parameter of a sweep may take."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from flowdeblur.errors import UserError

Value = str | int | float | bool | list[Any]

_KEYS = {"value", "values", "probabilities", "distribution", "min", "max", "q"}
_RANGES = ("uniform", "q_uniform", "int_uniform", "log_uniform_values", "q_log_uniform_values")


@dataclass(frozen=True)
class Choices:
    """One of several values.

    Attributes:
        values: in the file's order.
        probabilities: of drawing each; None draws them alike.
    """

    values: tuple[Value, ...]
    probabilities: tuple[float, ...] | None = None

    def draw(self, generator: random.Random) -> Value:
        """Draw a value."""
        return generator.choices(self.values, self.probabilities)[0]


@dataclass(frozen=True)
class Range:
    """A number between two others, both included.

    Attributes:
        low: the least.
        high: the greatest.
        log: whether every factor is as likely as any other, instead of every difference.
        step: distance of the values; None for any number.
        integer: whether it is a whole number.
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
    """Understand a parameter of a sweep file.

    Args:
        entry: what stands under its name.
        where: file and name, for messages.

    Raises:
        UserError: it says something that is not understood here.
    """
    if not isinstance(entry, dict) or "parameters" in entry:
        raise UserError(f"{where}: write a dotted key, with value, values or a range below it")
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise UserError(f"{where}.{unknown[0]}: is not understood; use {', '.join(sorted(_KEYS))}")
    if "value" in entry or "values" in entry:
        values = [entry["value"]] if "value" in entry else entry["values"]
        if not isinstance(values, list) or not values:
            raise UserError(f"{where}: values must be a list")
        for each in values:
            # W&B's agent writes values as Python does.
            if each is None:
                raise UserError(f"{where}: write 'null' in quotes, W&B would make it None")
            if isinstance(each, dict):
                raise UserError(f"{where}: {each} is no single value")
        probabilities = entry.get("probabilities")
        if probabilities is not None and len(probabilities) != len(values):
            raise UserError(f"{where}: {len(probabilities)} probabilities, {len(values)} values")
        return Choices(tuple(values), tuple(probabilities) if probabilities else None)
    return _range(entry, where)


def _range(entry: dict[str, Any], where: str) -> Range:
    low, high, step = entry.get("min"), entry.get("max"), entry.get("q", 1.0)
    if not (_is_number(low) and _is_number(high) and low < high):
        raise UserError(f"{where}: give value, values, or min and a greater max, as numbers")
    whole = isinstance(low, int) and isinstance(high, int)
    kind = entry.get("distribution", "int_uniform" if whole else "uniform")
    if kind not in _RANGES:
        raise UserError(f"{where}.distribution: {kind} is not one of {', '.join(_RANGES)}")
    log = "log" in kind
    if log and low <= 0:
        raise UserError(f"{where}: min must be above 0 for {kind}")
    if not (_is_number(step) and step > 0):
        raise UserError(f"{where}.q: is {step!r}, but must be a number above 0")
    stepped = step if kind.startswith("q_") else None
    return Range(float(low), float(high), log, stepped, kind == "int_uniform")


def tag(key: str, value: Value | None) -> str:
    """A value as a part of a name: a word itself, a number behind the key's last part."""
    if isinstance(value, str):
        label = value
    else:
        numbers = value if isinstance(value, Sequence) else [value]
        label = key.rpartition(".")[2] + "x".join(
            f"{each:g}" if isinstance(each, float) else str(each) for each in numbers
        )
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", label)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
