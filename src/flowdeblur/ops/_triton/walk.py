"""The recurrence step by step, over lines in the lanes of a program."""

# ruff: noqa: ANN001, ANN202, RUF005
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from flowdeblur.ops._triton.scan import activate


@triton.jit
def walk_forward(
    f, w, h, f_step, w_step, steps, lengths,
    STATE: tl.constexpr, TANH: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Walk lines from the pixels at pointers f, w and h, a block of STEPS loads at a time."""
    state = tl.zeros(lengths.shape, STATE)
    for start in range(0, steps, STEPS):
        fs = ()
        ws = ()
        for u in tl.static_range(STEPS):
            t = start + u
            mask = t < lengths
            fs = fs + (tl.load(f + t * f_step, mask=mask, other=0.0),)
            ws = ws + (tl.load(w + t * w_step, mask=mask, other=0.0),)
        for u in tl.static_range(STEPS):
            t = start + u
            mask = t < lengths
            f_t = fs[u].to(STATE)
            state = f_t + activate(ws[u], STATE, TANH) * (state - f_t)
            tl.store(h + t * w_step, state.to(h.dtype.element_ty), mask=mask)


@triton.jit
def walk_backward(
    f, w, h, g, total, gf, gw, f_step, w_step, steps, lengths, part_stride,
    PARTS: tl.constexpr, STATE: tl.constexpr, TANH: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Walk lines from their end.

    One saved state for each block of steps is read, the others are computed again. gf takes the
    gradient of f, added to PARTS sums so far: those at total and part_stride after it.
    """
    carry = tl.zeros(lengths.shape, STATE)
    blocks = tl.cdiv(steps, STEPS)
    for block in range(blocks):
        start = (blocks - 1 - block) * STEPS
        fs = ()
        ws = ()
        gs = ()
        totals = ()
        for u in tl.static_range(STEPS):
            t = start + u
            mask = t < lengths
            fs = fs + (tl.load(f + t * f_step, mask=mask, other=0.0),)
            ws = ws + (tl.load(w + t * w_step, mask=mask, other=0.0),)
            gs = gs + (tl.load(g + t * w_step, mask=mask, other=0.0),)
            if PARTS > 0:
                so_far = tl.load(total + t * f_step, mask=mask, other=0.0)
                if PARTS > 1:
                    so_far += tl.load(total + part_stride + t * f_step, mask=mask, other=0.0)
                totals = totals + (so_far,)
        saved = tl.where(start > 0, lengths, 0) > 0
        state = tl.load(h + (start - 1) * w_step, mask=saved, other=0.0).to(STATE)
        activated = ()
        differences = ()
        for u in tl.static_range(STEPS):
            f_t = fs[u].to(STATE)
            w_t = activate(ws[u], STATE, TANH)
            d_t = state - f_t
            state = f_t + w_t * d_t
            activated = activated + (w_t,)
            differences = differences + (d_t,)
        for u in tl.static_range(STEPS - 1, -1, -1):
            t = start + u
            mask = t < lengths
            w_t = activated[u]
            g_t = gs[u].to(STATE) + carry
            carry = w_t * g_t
            gw_t = g_t * differences[u]
            if TANH:
                gw_t *= 1 - w_t * w_t
            tl.store(gw + t * w_step, gw_t.to(gw.dtype.element_ty), mask=mask)
            gf_t = (1 - w_t) * g_t
            if PARTS > 0:
                gf_t += totals[u]
            tl.store(gf + t * f_step, gf_t.to(gf.dtype.element_ty), mask=mask)
