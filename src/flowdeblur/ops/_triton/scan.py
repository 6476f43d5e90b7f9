"""The recurrence over lines that a program holds in registers.

A line is cut into stretches. Each stretch is a tuple of tensors, one for each of its pixels, and
each element of these tensors belongs to another stretch: those of a line follow one another along
one axis of the tensors.
"""

# Triton compiles these functions: arguments have no Python types, and tuples grow by addition.
# ruff: noqa: ANN001, ANN202, RUF005
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl
from triton import knobs
from triton.language.target_info import is_cuda

_COMPILED = tl.constexpr(not knobs.runtime.interpret)


@triton.jit
def activate(w, STATE: tl.constexpr, TANH: tl.constexpr):
    """Convert weights to the type of states, and take their tanh to an error of 2e-7."""
    w = w.to(STATE)
    if TANH:
        if _COMPILED and is_cuda() and tl.float32 == STATE:
            # 2 / (1 + 2^(-2 log2(e) w)) - 1: a third of the instructions that the sigmoid takes,
            # because neither 2^x nor 1 / x handles denormal numbers.
            w = tl.inline_asm_elementwise(
                "mul.f32 $0, $1, 0fC038AA3B; ex2.approx.ftz.f32 $0, $0; add.f32 $0, $0, 0f3F800000;"
                " rcp.approx.ftz.f32 $0, $0; fma.rn.f32 $0, $0, 0f40000000, 0fBF800000;",
                "=f,f", [w], dtype=tl.float32, is_pure=True, pack=1,
            )  # fmt: skip
        else:
            w = 2 * tl.sigmoid(2 * w) - 1
    return w


@triton.jit
def _compose(a_left, b_left, e_left, k_left, a_right, b_right, e_right, k_right):
    """Compose h -> a h + b of two stretches, left first; h -> k h + e leaves out the last one."""
    return (
        a_left * a_right,
        b_left * a_right + b_right,
        b_left * k_right + e_right,
        a_left * k_right,
    )


@triton.jit
def _before(a, b, AXIS: tl.constexpr, REVERSE: tl.constexpr):
    """Return (e, k): the state k h + e before each stretch, for a state h before the line."""
    zero = tl.zeros_like(a)
    _, _, e, k = tl.associative_scan((a, b, zero, zero + 1), AXIS, _compose, reverse=REVERSE)
    return e, k


@triton.jit
def states(fs, ws, carry, FROM_END: tl.constexpr):
    """Compute states along axis 1.

    Args:
        fs: features of each pixel of a stretch, a tuple of (ROWS, STRETCHES).
        ws: activated weights, likewise.
        carry: state before the line (ROWS, 1).
        FROM_END: whether the last pixel comes first.

    Returns:
        The states, a tuple in the order of ``fs``, and those of the last pixel visited of each
        stretch.
    """
    if FROM_END:
        fs = fs[::-1]
        ws = ws[::-1]
    b = tl.zeros_like(ws[0])
    a = b + 1
    for u in tl.static_range(len(fs)):
        a *= ws[u]
        b = fs[u] + ws[u] * (b - fs[u])
    e, k = _before(a, b, 1, FROM_END)
    state = e + k * carry
    hs = ()
    for u in tl.static_range(len(fs)):
        state = fs[u] + ws[u] * (state - fs[u])
        hs = hs + (state,)
    if FROM_END:
        hs = hs[::-1]
    return hs, state


@triton.jit
def gradients(
    fs, ws, gs, state, carry,
    AXIS: tl.constexpr, FROM_END: tl.constexpr, WHOLE: tl.constexpr, TANH: tl.constexpr,
):  # fmt: skip
    """Compute gradients along one axis.

    Args:
        fs: features of each pixel of a stretch, a tuple of tensors.
        ws: activated weights, likewise.
        gs: gradients of the states, likewise.
        state: state before the line, which broadcasts to these tensors.
        carry: gradient that comes from beyond the line's end, likewise.
        AXIS: along which the stretches of a line follow one another.
        FROM_END: whether the last pixel comes first.
        WHOLE: whether state and carry are 0, and not read.
        TANH: whether to return the gradient of the weights before their tanh.

    Returns:
        The gradients of the weights and the addends to that of the features, two tuples in the
        order of ``fs``, and the gradient that leaves each stretch.
    """
    if FROM_END:
        fs = fs[::-1]
        ws = ws[::-1]
        gs = gs[::-1]
    b = tl.zeros_like(ws[0])
    a = b + 1
    c = b
    for u in tl.static_range(len(fs)):
        a *= ws[u]
        b = fs[u] + ws[u] * (b - fs[u])
        c = ws[len(fs) - 1 - u] * (gs[len(fs) - 1 - u] + c)
    e, k = _before(a, b, AXIS, FROM_END)
    before = e if WHOLE else e + k * state
    differences = ()
    for u in tl.static_range(len(fs)):
        difference = before - fs[u]
        before = fs[u] + ws[u] * difference
        differences = differences + (difference,)
    e, k = _before(a, c, AXIS, not FROM_END)
    back = e if WHOLE else e + k * carry
    gws = ()
    gfs = ()
    for u in tl.static_range(len(fs) - 1, -1, -1):
        g = gs[u] + back
        back = ws[u] * g
        gw = g * differences[u]
        if TANH:
            gw *= 1 - ws[u] * ws[u]
        gws = (gw,) + gws
        gfs = ((1 - ws[u]) * g,) + gfs
    if FROM_END:
        gws = gws[::-1]
        gfs = gfs[::-1]
    return gws, gfs, back


@triton.jit
def _halves(x):
    """Return the even and the odd columns of (ROWS, N)."""
    return tl.split(tl.reshape(x, [x.shape[0], x.shape[1] // 2, 2]))


@triton.jit
def _joined(even, odd):
    return tl.reshape(tl.join(even, odd), [even.shape[0], even.shape[1] * 2])


@triton.jit
def stretches(x, LENGTH: tl.constexpr):
    """Cut rows (ROWS, N) into stretches of 1, 2, 4 or 8 pixels, a tuple of (ROWS, N / LENGTH)."""
    if LENGTH == 1:
        return (x,)
    elif LENGTH == 2:
        even, odd = _halves(x)
        return (even, odd)
    elif LENGTH == 4:
        even, odd = _halves(x)
        x0, x2 = _halves(even)
        x1, x3 = _halves(odd)
        return (x0, x1, x2, x3)
    else:
        even, odd = _halves(x)
        x04, x26 = _halves(even)
        x15, x37 = _halves(odd)
        x0, x4 = _halves(x04)
        x1, x5 = _halves(x15)
        x2, x6 = _halves(x26)
        x3, x7 = _halves(x37)
        return (x0, x1, x2, x3, x4, x5, x6, x7)


@triton.jit
def joined(xs):
    """Put stretches together again."""
    if len(xs) == 1:
        return xs[0]
    elif len(xs) == 2:
        return _joined(xs[0], xs[1])
    elif len(xs) == 4:
        return _joined(_joined(xs[0], xs[2]), _joined(xs[1], xs[3]))
    else:
        even = _joined(_joined(xs[0], xs[4]), _joined(xs[2], xs[6]))
        return _joined(even, _joined(_joined(xs[1], xs[5]), _joined(xs[3], xs[7])))
