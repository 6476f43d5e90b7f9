"""Where the lines of contiguous maps are in memory."""

# ruff: noqa: ANN001, ANN202
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def plane_of_weights(plane, direction, channels):
    """Return the plane of a (B, 4C, H, W) map that belongs to one (b, c) of (B, C, H, W)."""
    return plane + (3 * (plane // channels) + direction) * channels


@triton.jit
def locate_rows(first, end, direction, channels, height, width, ROWS: tl.constexpr):
    """Locate ROWS rows of all planes' rows, from the one numbered ``first``.

    Returns:
        Offsets (ROWS, 1) in (B, C, H, W) and (B, 4C, H, W) maps, and whether rows are before
        ``end``.
    """
    row = first + tl.arange(0, ROWS)[:, None]
    skipped = (3 * (row // height // channels) + direction) * channels
    wide = row.to(tl.int64)
    return wide * width, (wide + skipped.to(tl.int64) * height) * width, row < end


@triton.jit
def locate_columns(
    group, strip, direction, planes, channels, height, width,
    LANES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Locate COLUMNS columns of LANES / COLUMNS planes.

    Returns:
        Offsets (LANES,) of the first pixel walked in (B, C, H, W) and (B, 4C, H, W) maps, the step
        to the next one, and lengths, 0 for lanes outside.
    """
    lane = tl.arange(0, LANES)
    plane = group * (LANES // COLUMNS) + lane // COLUMNS
    x = strip * COLUMNS + lane % COLUMNS
    from_end = direction % 2
    pixels = height * width
    start = from_end * (height - 1) * width + x
    return (
        plane * pixels + start,
        plane_of_weights(plane, direction, channels) * pixels + start,
        (1 - 2 * from_end) * width,
        tl.where((x < width) & (plane < planes), height, 0),
    )
