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


def _permute(low: Array, high: Array, selector: Array) -> Array:
    """Four of eight bytes, chosen by a digit each; a digit from 8 on repeats the byte's sign."""
    word = high.astype("u8") << 32 | low
    result = np.zeros_like(low)
    for place in range(4):
        digit = selector >> 4 * place & 15
        byte = (word >> (digit & 7) * 8 & 255).astype("u4")
        result |= np.where(digit & 8, (byte >> 7) * 255, byte) << 8 * place
    return result


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
    "prmt": _permute,
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
