"""Kernels of channels_last maps: all four directions are walked, channels in parallel lanes."""

# ruff: noqa: ANN001, ANN202
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from flowdeblur.ops._triton.walk import walk_backward, walk_forward


@triton.jit
def _lines(
    direction, batch, group, channel_block, channels, height, width,
    LANES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Locate LANES / CHANNELS lines of a map, CHANNELS channels of each.

    Returns:
        Offsets (LANES,) of the first pixel walked in (B, C, H, W) and (B, 4C, H, W) maps, the step
        in pixels, the number of steps, and lengths, 0 for lanes outside.
    """
    along_row = direction < 2
    from_end = direction % 2
    length = tl.where(along_row, width, height)
    step = tl.where(along_row, 1, width).to(tl.int64)
    lane = tl.arange(0, LANES)
    c = channel_block * CHANNELS + lane % CHANNELS
    line = group * (LANES // CHANNELS) + lane // CHANNELS
    pixel = batch * height * width + from_end * (length - 1) * step
    pixel += line * tl.where(along_row, width, 1)
    inside = (c < channels) & (line < tl.where(along_row, height, width))
    return (
        pixel * channels + c,
        (4 * pixel + direction) * channels + c,
        (1 - 2 * from_end) * step,
        length,
        tl.where(inside, length, 0),
    )


@triton.jit(do_not_specialize=["channel_units", "height", "width"])
def forward_channels_last(
    f, w, h, channel_units, height, width,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr,
    LANES: tl.constexpr, CHANNELS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Compute all four directions."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    channels = channel_units * ALIGN
    row_parts = 2 * tl.cdiv(height, LANES // CHANNELS)
    parts = row_parts + 2 * tl.cdiv(width, LANES // CHANNELS)
    batch = (tl.program_id(0) // parts).to(tl.int64)
    part = tl.program_id(0) % parts
    group = tl.where(part < row_parts, part, part - row_parts) // 2
    direction = tl.where(part < row_parts, 0, 2) + part % 2
    f_lane, w_lane, step, length, lengths = _lines(
        direction, batch, group, tl.program_id(1), channels, height, width, LANES, CHANNELS
    )
    walk_forward(
        f + f_lane, w + w_lane, h + w_lane, step * channels, 4 * step * channels, length, lengths,
        STATE, TANH, STEPS,
    )  # fmt: skip


@triton.jit(do_not_specialize=["batches", "channel_units", "height", "width"])
def backward_channels_last_columns(
    f, w, h, g, total, gw, batches, channel_units, height, width,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr,
    LANES: tl.constexpr, CHANNELS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Write gw of one sense of columns and the partial sum of that sense for gf."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    channels = channel_units * ALIGN
    from_end = tl.program_id(0) % 2
    groups = tl.cdiv(width, LANES // CHANNELS)
    batch = (tl.program_id(0) // 2 // groups).to(tl.int64)
    f_lane, w_lane, step, length, lengths = _lines(
        2 + from_end, batch, tl.program_id(0) // 2 % groups, tl.program_id(1),
        channels, height, width, LANES, CHANNELS,
    )  # fmt: skip
    part = batches.to(tl.int64) * channels * height * width
    walk_backward(
        f + f_lane, w + w_lane, h + w_lane, g + w_lane, total, total + from_end * part + f_lane,
        gw + w_lane, step * channels, 4 * step * channels, length, lengths, part,
        0, STATE, TANH, STEPS,
    )  # fmt: skip


@triton.jit(do_not_specialize=["batches", "channel_units", "height", "width"])
def backward_channels_last_rows(
    f, w, h, g, total, gf, gw, batches, channel_units, height, width,
    ALIGN: tl.constexpr, DOUBLE: tl.constexpr, TANH: tl.constexpr,
    LANES: tl.constexpr, CHANNELS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Write gw of rows, one sense after the other, and gf from the columns' two sums."""
    STATE: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    channels = channel_units * ALIGN
    groups = tl.cdiv(height, LANES // CHANNELS)
    batch = (tl.program_id(0) // groups).to(tl.int64)
    part = batches.to(tl.int64) * channels * height * width
    for from_end in tl.static_range(2):
        f_lane, w_lane, step, length, lengths = _lines(
            from_end, batch, tl.program_id(0) % groups, tl.program_id(1),
            channels, height, width, LANES, CHANNELS,
        )  # fmt: skip
        walk_backward(
            f + f_lane, w + w_lane, h + w_lane, g + w_lane, total + f_lane,
            (gf if from_end == 1 else total) + f_lane, gw + w_lane,
            step * channels, 4 * step * channels, length, lengths, part,
            2 - from_end, STATE, TANH, STEPS,
        )  # fmt: skip
        tl.debug_barrier()  # the second sense reads what the first one wrote
