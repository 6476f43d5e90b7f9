"""The forward kernel of contiguous maps: rows are scanned, columns are walked.

All four directions run in one launch, programs that read the same features one after another, so
that these come from the level-2 cache after their first read.
"""

# ruff: noqa: ANN001, ANN202
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from flowdeblur.ops._triton.places import locate_columns, locate_rows
from flowdeblur.ops._triton.scan import activate, joined, states, stretches
from flowdeblur.ops._triton.walk import walk_forward


@triton.jit
def _scan_forward(
    f, w, h, width, inside,
    FROM_END: tl.constexpr, STATE: tl.constexpr, TANH: tl.constexpr,
    SCAN: tl.constexpr, STRETCH: tl.constexpr,
):  # fmt: skip
    """Scan rows that start at pointers f, w and h (ROWS, 1).

    Beyond the width, f and w read as 0. That is the first block from the end, where the carry is 0.
    """
    column = tl.arange(0, SCAN)[None, :]
    last_visited = tl.arange(0, SCAN // STRETCH)[None, :] == (
        0 if FROM_END else SCAN // STRETCH - 1
    )
    carry = tl.zeros(inside.shape, STATE)
    blocks = tl.cdiv(width, SCAN)
    for block in range(blocks):
        x = (blocks - 1 - block if FROM_END else block) * SCAN + column
        mask = (x < width) & inside
        ws = stretches(activate(tl.load(w + x, mask=mask, other=0.0), STATE, TANH), STRETCH)
        fs = stretches(tl.load(f + x, mask=mask, other=0.0).to(STATE), STRETCH)
        hs, last = states(fs, ws, carry, FROM_END)
        tl.store(h + x, joined(hs).to(h.dtype.element_ty), mask=mask)
        carry = tl.sum(tl.where(last_visited, last, 0.0), 1, keep_dims=True)


@triton.jit(do_not_specialize=["planes", "channels", "height", "width_units"])
def forward_contiguous(
    f, w, h, planes, channels, height, width_units,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr, ROWS: tl.constexpr,
    SCAN: tl.constexpr, LANES: tl.constexpr, COLUMNS: tl.constexpr, STEPS: tl.constexpr,
    COLUMNS_FIRST: tl.constexpr,
):  # fmt: skip
    """Compute all four directions.

    The programs of a group of planes follow one another, those of its rows first. COLUMNS_FIRST
    puts the columns of all planes before all rows: where programs are few, those that take longest
    must not start last.
    """
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    STRETCH: tl.constexpr = min(ALIGN, SCAN)
    width = width_units * ALIGN
    rows_of_group = LANES // COLUMNS * height
    row_parts = 2 * tl.cdiv(rows_of_group, ROWS)
    column_parts = 2 * tl.cdiv(width, COLUMNS)
    if COLUMNS_FIRST:
        walks = tl.cdiv(planes, LANES // COLUMNS) * column_parts
        scans = tl.program_id(0) >= walks
        index = tl.where(scans, tl.program_id(0) - walks, tl.program_id(0))
        parts = tl.where(scans, row_parts, column_parts)
        group = index // parts
        part = index % parts
    else:
        group = tl.program_id(0) // (row_parts + column_parts)
        part = tl.program_id(0) % (row_parts + column_parts)
        scans = part < row_parts
        part = tl.where(scans, part, part - row_parts)
    if scans:
        first = group * rows_of_group
        end = tl.minimum(first + rows_of_group, planes * height)
        first += part // 2 * ROWS
        f_row, w_row, inside = locate_rows(first, end, part % 2, channels, height, width, ROWS)
        if part % 2 == 0:
            _scan_forward(
                f + f_row, w + w_row, h + w_row, width, inside, False, STATE, TANH, SCAN, STRETCH
            )
        else:
            _scan_forward(
                f + f_row, w + w_row, h + w_row, width, inside, True, STATE, TANH, SCAN, STRETCH
            )
    else:
        f_lane, w_lane, step, heights = locate_columns(
            group.to(tl.int64), part // 2, 2 + part % 2, planes, channels, height, width,
            LANES, COLUMNS,
        )  # fmt: skip
        walk_forward(
            f + f_lane, w + w_lane, h + w_lane, step, step, height, heights, STATE, TANH, STEPS
        )
