"""The backward kernels of contiguous maps.

A small plane is one program, which keeps features and their gradient in registers. Larger planes
take two launches. Columns first: a strip of columns that are not tall is one program; tall columns
are walked, each sense by a program of its own, which writes a partial sum. Then rows, which keep
features and sums in registers, too.
"""

# ruff: noqa: ANN001, ANN202, RUF005
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from flowdeblur.ops._triton.places import locate_columns, locate_rows, plane_of_weights
from flowdeblur.ops._triton.scan import activate, gradients, joined, stretches
from flowdeblur.ops._triton.walk import walk_backward


@triton.jit
def _load(x, pixel, first_row, row, height, inside, STRETCH: tl.constexpr):
    """Load a strip of columns: a tuple of every STRETCH-th row from 0, from 1 and so on."""
    result = ()
    for u in tl.static_range(STRETCH):
        mask = inside & (first_row + u < height)
        result = result + (tl.load(x + (pixel + u * row), mask=mask, other=0.0),)
    return result


@triton.jit
def _store(x, values, pixel, first_row, row, height, inside):
    """Store a strip of columns."""
    for u in tl.static_range(len(values)):
        mask = inside & (first_row + u < height)
        tl.store(x + (pixel + u * row), values[u].to(x.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["channels", "height", "width_units"])
def backward_strips(
    f, w, g, gf, gw, channels, height, width_units,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr, STRETCHES: tl.constexpr,
    STRETCH: tl.constexpr, COLUMNS: tl.constexpr, ROWS_TOO: tl.constexpr,
):  # fmt: skip
    """Write gw of both senses of COLUMNS columns, and their sum for gf.

    A column is cut into STRETCHES of STRETCH pixels. ROWS_TOO: the strip is the whole plane, and
    its rows belong to the program, too. A direction is loaded before the previous one is computed.
    """
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    IN_ROW: tl.constexpr = min(4, ALIGN, COLUMNS)
    FIRST: tl.constexpr = 0 if ROWS_TOO else 2
    width = width_units * ALIGN
    strips = tl.cdiv(width, COLUMNS)
    plane = (tl.program_id(0) // strips).to(tl.int64)
    x = tl.program_id(0) % strips * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = x < width
    first_row = tl.arange(0, STRETCHES)[:, None] * STRETCH
    pixel = first_row * width + x
    raw = _load(f + plane * height * width, pixel, first_row, width, height, inside, STRETCH)
    place = plane_of_weights(plane, FIRST, channels) * height * width
    next_w = _load(w + place, pixel, first_row, width, height, inside, STRETCH)
    next_g = _load(g + place, pixel, first_row, width, height, inside, STRETCH)
    fs = ()
    totals = ()
    for u in tl.static_range(STRETCH):
        fs = fs + (raw[u].to(STATE),)
        totals = totals + (tl.zeros([STRETCHES, COLUMNS], STATE),)
    for direction in tl.static_range(FIRST, 4):
        ws = ()
        gs = ()
        for u in tl.static_range(STRETCH):
            ws = ws + (activate(next_w[u], STATE, TANH),)
            gs = gs + (next_g[u].to(STATE),)
        if direction < 3:
            place = plane_of_weights(plane, direction + 1, channels) * height * width
            next_w = _load(w + place, pixel, first_row, width, height, inside, STRETCH)
            next_g = _load(g + place, pixel, first_row, width, height, inside, STRETCH)
        if direction < 2:
            gws = ()
            gfs = ()
            for u in tl.static_range(STRETCH):
                gw_u, gf_u, _ = gradients(
                    stretches(fs[u], IN_ROW), stretches(ws[u], IN_ROW), stretches(gs[u], IN_ROW),
                    0.0, 0.0, 1, direction % 2 == 1, True, TANH,
                )  # fmt: skip
                gws = gws + (joined(gw_u),)
                gfs = gfs + (joined(gf_u),)
        else:
            gws, gfs, _ = gradients(fs, ws, gs, 0.0, 0.0, 0, direction % 2 == 1, True, TANH)
        place = plane_of_weights(plane, direction, channels) * height * width
        _store(gw + place, gws, pixel, first_row, width, height, inside)
        sums = ()
        for u in tl.static_range(STRETCH):
            sums = sums + (totals[u] + gfs[u],)
        totals = sums
    _store(gf + plane * height * width, totals, pixel, first_row, width, height, inside)


@triton.jit(do_not_specialize=["planes", "channels", "height", "width_units"])
def backward_columns(
    f, w, h, g, total, gw, planes, channels, height, width_units,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr,
    LANES: tl.constexpr, COLUMNS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Write gw of one sense of columns and the partial sum of that sense for gf."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    width = width_units * ALIGN
    from_end = tl.program_id(0) % 2
    strips = tl.cdiv(width, COLUMNS)
    group = (tl.program_id(0) // 2 // strips).to(tl.int64)
    f_lane, w_lane, step, heights = locate_columns(
        group, tl.program_id(0) // 2 % strips, 2 + from_end, planes, channels, height, width,
        LANES, COLUMNS,
    )  # fmt: skip
    part = planes.to(tl.int64) * height * width
    walk_backward(
        f + f_lane, w + w_lane, h + w_lane, g + w_lane, total, total + from_end * part + f_lane,
        gw + w_lane, step, step, height, heights, part, 0, STATE, TANH, STEPS,
    )  # fmt: skip


@triton.jit
def _scan_backward(
    f_x, w, h, g, gw, x, width, inside, before, carry,
    FROM_END: tl.constexpr, WHOLE: tl.constexpr, STATE: tl.constexpr, TANH: tl.constexpr,
    STRETCH: tl.constexpr,
):  # fmt: skip
    """Write gw of one block of rows' pixels x (1, SCAN).

    ``before`` is the pixel before the block in its direction, carry the gradient from the pixel
    after it (ROWS, 1). WHOLE: there are no such pixels.

    Returns:
        The addend to gf, and the gradient for the next block.
    """
    mask = (x < width) & inside
    w_x = activate(tl.load(w + x, mask=mask, other=0.0), STATE, TANH)
    g_x = tl.load(g + x, mask=mask, other=0.0).to(STATE)
    state = carry
    if not WHOLE:
        saved = (before >= 0) & (before < width) & inside
        state = tl.load(h + before, mask=saved, other=0.0).to(STATE)
    gws, gfs, back = gradients(
        stretches(f_x, STRETCH), stretches(w_x, STRETCH), stretches(g_x, STRETCH), state, carry,
        1, FROM_END, WHOLE, TANH,
    )  # fmt: skip
    tl.store(gw + x, joined(gws).to(gw.dtype.element_ty), mask=mask)
    if not WHOLE:
        lane = tl.arange(0, back.shape[1])[None, :]
        last_visited = lane == (back.shape[1] - 1 if FROM_END else 0)
        carry = tl.sum(tl.where(last_visited, back, 0.0), 1, keep_dims=True)
    return joined(gfs), carry


@triton.jit
def _total(total, x, mask, part_stride, PARTS: tl.constexpr):
    """Load a sum that consists of one or two parts."""
    so_far = tl.load(total + x, mask=mask, other=0.0)
    if PARTS > 1:
        so_far += tl.load(total + part_stride + x, mask=mask, other=0.0)
    return so_far


@triton.jit(do_not_specialize=["planes", "channels", "height", "width_units"])
def backward_rows(
    f, w, h, g, total, gf, gw, planes, channels, height, width_units,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr, ROWS: tl.constexpr,
    SCAN: tl.constexpr, BLOCKS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Write gw of both senses of rows, and gf from the columns' PARTS sums.

    A row is BLOCKS blocks of SCAN pixels, whose features and sums stay in registers. Where BLOCKS
    is 0, rows are longer: sums return to memory after the first sense.
    """
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    STRETCH: tl.constexpr = min(ALIGN, SCAN)
    width = width_units * ALIGN
    part_stride = planes.to(tl.int64) * height * width
    first = tl.program_id(0) * ROWS
    column = tl.arange(0, SCAN)[None, :]
    f_row, _, inside = locate_rows(first, planes * height, 0, channels, height, width, ROWS)
    f += f_row
    total += f_row
    gf += f_row
    fs = ()
    totals = ()
    for i in tl.static_range(BLOCKS):  # the first sense visits the last block first
        x = (BLOCKS - 1 - i) * SCAN + column
        mask = (x < width) & inside
        fs = fs + (tl.load(f + x, mask=mask, other=0.0).to(STATE),)
        totals = totals + (_total(total, x, mask, part_stride, PARTS),)
    for direction in tl.static_range(2):
        _, w_row, inside = locate_rows(
            first, planes * height, direction, channels, height, width, ROWS
        )
        carry = tl.zeros([ROWS, 1], STATE)
        if BLOCKS > 0:
            sums = ()
            for i in tl.static_range(BLOCKS):
                start = i * SCAN if direction == 1 else (BLOCKS - 1 - i) * SCAN
                before = start + SCAN if direction == 1 else start - 1
                addend, carry = _scan_backward(
                    fs[i], w + w_row, h + w_row, g + w_row, gw + w_row, start + column,
                    width, inside, before, carry, direction == 1, BLOCKS == 1, STATE, TANH, STRETCH,
                )  # fmt: skip
                sums = sums + (totals[i] + addend,)
            totals = sums[::-1]
            fs = fs[::-1]
        else:
            blocks = tl.cdiv(width, SCAN)
            for i in range(blocks):
                block = i if direction == 1 else blocks - 1 - i
                before = (block + 1) * SCAN if direction == 1 else block * SCAN - 1
                x = block * SCAN + column
                mask = (x < width) & inside
                f_x = tl.load(f + x, mask=mask, other=0.0).to(STATE)
                so_far = _total(total, x, mask, part_stride, 1 if direction == 1 else PARTS)
                addend, carry = _scan_backward(
                    f_x, w + w_row, h + w_row, g + w_row, gw + w_row, x,
                    width, inside, before, carry, direction == 1, False, STATE, TANH, STRETCH,
                )  # fmt: skip
                result = gf if direction == 1 else total
                tl.store(result + x, (so_far + addend).to(result.dtype.element_ty), mask=mask)
            # In half types another thread may read a sum than wrote it: layouts differ.
            tl.debug_barrier()
    for i in tl.static_range(BLOCKS):
        x = (BLOCKS - 1 - i) * SCAN + column
        mask = (x < width) & inside
        tl.store(gf + x, totals[i].to(gf.dtype.element_ty), mask=mask)
