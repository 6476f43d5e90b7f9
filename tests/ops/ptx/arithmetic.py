"""Arithmetic of PTX on arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _divide(left: Array, right: Array) -> Array:
    if left.dtype.kind == "f":
        return left / right
    quotient = np.abs(left) // np.maximum(np.abs(right), 1)
    return np.where((left < 0) ^ (right < 0), -quotient, quotient)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "mov": np.array,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "mad": lambda a, b, c: a * b + c,
    "fma": lambda a, b, c: a * b + c,
    "div": _divide,
    "rem": np.fmod,
    "neg": np.negative,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "bfe": lambda x, start, length: x >> start & ((1 << length.astype(x.dtype)) - 1),
    "ex2": np.exp2,
    "rcp": np.reciprocal,
}
COMPARISONS = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
