"""The spatially variant RNN in ONNX without a loop: log2(length) steps of shift, multiply and add.

Two steps of the recurrence h_t = a_t + w_t h_{t-1} are one step of another: it reaches twice as
far, with a_t + w_t a_{t-1} in the place of a_t and w_t w_{t-1} in the place of w_t. Applied k
times, it reaches 2^k pixels: exact algebra, in operators that every runtime has. States are float32
in half-precision models too, as in the operator.
"""

# ONNX Script traces these functions; their arguments are values of a graph.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202

from functools import partial

from onnxscript import FLOAT
from onnxscript import opset18 as op

REACH = 2048
"""Longest line in pixels of an RNN's own scale, a power of 2: frames of up to 4096 pixels a side.

In longer lines a state forgets what is farther away."""

_DIRECTIONS = ((3, False), (3, True), (2, False), (2, True))  # axis, from its end?
_END = 2**31 - 1


def spatially_variant_rnn(features, weights, tanh: bool):
    """Translate ``flowdeblur::spatially_variant_rnn``."""
    f, w = op.Cast(features, to=FLOAT.dtype), op.Cast(weights, to=FLOAT.dtype)
    directions = op.Split(op.Tanh(w) if tanh else w, num_outputs=4, axis=1)
    states = [
        _sweep(f, weight, partial(_shift, axis=axis, back=back))
        for weight, (axis, back) in zip(directions, _DIRECTIONS, strict=True)
    ]
    return op.CastLike(op.Concat(*states, axis=1), features)


def _sweep(features, weights, shift):
    states, step = features - weights * features, 1
    while step < REACH:
        states = states + weights * shift(states, step)
        if 2 * step < REACH:
            weights = weights * shift(weights, step)
        step *= 2
    return states


def _shift(x, step: int, *, axis: int, back: bool):
    """Move by ``step`` pixels along the sweep; zeros enter."""
    pads = [0] * 8
    pads[axis + 4 * back] = step
    padded = op.Pad(x, op.Constant(value_ints=pads))
    start, end = (step, _END) if back else (0, -step)
    ends = [op.Constant(value_ints=[each]) for each in (start, end, axis)]
    return op.Slice(padded, *ends)
