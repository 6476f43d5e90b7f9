"""Launches of the Triton kernels: how maps are cut into programs, and in which order they run.

``docs/operator.md`` lists memory traffic, registers and reasons.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from flowdeblur.ops._reference import state_dtype
from flowdeblur.ops._tiles import Tiles, table
from flowdeblur.ops._triton import channels_last, contiguous_backward, contiguous_forward

_PLANE_PIXELS = 4096  # of a plane that is one program
_STRIP_PIXELS = 2048  # of a strip: three programs of 4 warps fit on a multiprocessor
_MIN_STRIP = 16  # columns; fewer would use only a part of a memory access
_FEW_LINES = 2**15  # of a channels_last map: below, a program takes half of the lanes
_MAX_BLOCKS = 8  # of a row that backward_rows keeps in registers


def forward(features: Tensor, weights: Tensor, tanh: bool, out: Tensor) -> None:
    """Write the four directions' states of (B, C, H, W) features into ``out`` (B, 4C, H, W)."""
    batch, channels, height, width = features.shape
    few = table().has_few_lines(batch * channels * min(height, width) * features.itemsize)
    tiles = table().forward_few_lines if few else table().forward
    options = _options(features, tanh, tiles)
    tensors = (*_like(out, features, weights), out)
    with torch.cuda.device_of(out):  # type: ignore[no-untyped-call]
        if out.is_contiguous():
            align = _alignment(width, features)
            rows, columns = _row_tiles(width, align, tiles), _column_tiles(width, tiles)
            planes = columns["LANES"] // columns["COLUMNS"]
            parts = _cdiv(planes * height, rows["ROWS"]) + _cdiv(width, columns["COLUMNS"])
            contiguous_forward.forward_contiguous[(_cdiv(batch * channels, planes) * 2 * parts,)](
                *tensors, batch * channels, channels, height, width // align,
                ALIGN=align, **rows, **columns, COLUMNS_FIRST=few, **options,
            )  # fmt: skip
        else:
            align = _alignment(channels, features)
            lines = _channel_tiles(channels, tiles.lanes, tiles.steps)
            at_once = lines["LANES"] // lines["CHANNELS"]
            parts = _cdiv(height, at_once) + _cdiv(width, at_once)
            grid = (batch * 2 * parts, _cdiv(channels, lines["CHANNELS"]))
            channels_last.forward_channels_last[grid](
                *tensors, channels // align, height, width, ALIGN=align, **lines, **options
            )


def backward(
    features: Tensor,
    weights: Tensor,
    states: Tensor,
    grad: Tensor,
    tanh: bool,
    grad_features: Tensor,
    grad_weights: Tensor,
) -> None:
    """Write the gradients into ``grad_features`` and ``grad_weights``."""
    f, w, h, g = _like(grad_weights, features, weights, states, grad)
    run = _backward_contiguous if grad_weights.is_contiguous() else _backward_channels_last
    with torch.cuda.device_of(grad_weights):  # type: ignore[no-untyped-call]
        run(f, w, h, g, tanh, grad_features, grad_weights)


def _backward_contiguous(
    f: Tensor, w: Tensor, h: Tensor, g: Tensor, tanh: bool, gf: Tensor, gw: Tensor
) -> None:
    """Launch whole planes, or columns and then rows."""
    batch, channels, height, width = f.shape
    planes = batch * channels
    align = _alignment(width, f)
    strip = _strip(height, width, align)
    if strip is not None:
        whole = _power_of_two(width) == strip["COLUMNS"] <= 32 * min(align, 4)
        total = gf if whole else _sum(f, gf, parts=1)
        contiguous_backward.backward_strips[(planes * _cdiv(width, strip["COLUMNS"]),)](
            f, w, g, total, gw, channels, height, width // align,
            ALIGN=align, **strip, ROWS_TOO=whole, **_options(f, tanh),
        )  # fmt: skip
        if whole:
            return
    tiles = table().backward
    options = _options(f, tanh, tiles)
    sizes = (planes, channels, height, width // align)
    if strip is None:
        total = _sum(f, gf, parts=2)
        columns = _column_tiles(width, tiles)
        groups = _cdiv(planes, columns["LANES"] // columns["COLUMNS"])
        contiguous_backward.backward_columns[(2 * groups * _cdiv(width, columns["COLUMNS"]),)](
            f, w, h, g, total, gw, *sizes, ALIGN=align, **columns, **options
        )
    blocks = _cdiv(width, _scan(width, align))
    rows = _row_tiles(width, align, tiles, blocks)
    contiguous_backward.backward_rows[(_cdiv(planes * height, rows["ROWS"]),)](
        f, w, h, g, total, gf, gw, *sizes, ALIGN=align, **rows,
        BLOCKS=blocks if blocks <= _MAX_BLOCKS else 0, PARTS=1 if strip else 2, **options,
    )  # fmt: skip


def _backward_channels_last(
    f: Tensor, w: Tensor, h: Tensor, g: Tensor, tanh: bool, gf: Tensor, gw: Tensor
) -> None:
    """Launch columns and then rows."""
    batch, channels, height, width = f.shape
    tiles = table().backward
    options = _options(f, tanh, tiles)
    align = _alignment(channels, f)
    few = batch * channels * min(height, width) < _FEW_LINES
    lines = _channel_tiles(channels, max(32, tiles.lanes // 2) if few else tiles.lanes, tiles.steps)
    at_once = lines["LANES"] // lines["CHANNELS"]
    blocks = _cdiv(channels, lines["CHANNELS"])
    sizes = (batch, channels // align, height, width)
    total = _sum(f, gf, parts=2)
    channels_last.backward_channels_last_columns[(2 * batch * _cdiv(width, at_once), blocks)](
        f, w, h, g, total, gw, *sizes, ALIGN=align, **lines, **options
    )
    channels_last.backward_channels_last_rows[(batch * _cdiv(height, at_once), blocks)](
        f, w, h, g, total, gf, gw, *sizes, ALIGN=align, **lines, **options
    )


def _sum(features: Tensor, grad_features: Tensor, parts: int) -> Tensor:
    """Return memory for partial sums, in the type of the states until their last addition."""
    dtype = state_dtype(features.dtype)
    if parts == 1 and dtype == features.dtype:
        return grad_features
    return features.new_empty(parts * features.numel(), dtype=dtype)


def _strip(height: int, width: int, align: int) -> dict[str, int] | None:
    """Cut a plane into strips of whole columns, 16 pixels for each thread of a program.

    The strip is the whole plane where that fits into 8 warps, with a row in one of them.

    Returns:
        Tiles of ``backward_strips``, None for columns that are too long.
    """
    align = min(align, 4)
    rows, columns = _power_of_two(height), _power_of_two(width)
    if rows * columns > _PLANE_PIXELS or columns > 32 * align:
        columns = min(columns, _STRIP_PIXELS // rows)
        if columns < min(_MIN_STRIP, width):
            return None
    warps = max(1, rows * columns // 512)
    at_once = min(rows, max(1, 32 * warps * align // columns))
    return {
        "STRETCHES": at_once,
        "STRETCH": rows // at_once,
        "COLUMNS": columns,
        "num_warps": warps,
    }


def _options(features: Tensor, tanh: bool, tiles: Tiles | None = None) -> dict[str, Any]:
    """Return the options of every launch.

    FP fusion is explicit because Triton 3.10 no longer enables it.
    """
    warps = {} if tiles is None else {"num_warps": tiles.warps}
    double = features.dtype == torch.float64
    return {"DOUBLE": double, "TANH": tanh, "enable_fp_fusion": True, **warps}


def _like(result: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the inputs in the layout of the result, copied where theirs is another one."""
    layout = torch.contiguous_format if result.is_contiguous() else torch.channels_last
    return tuple(x.contiguous(memory_format=layout) for x in inputs)


def _alignment(side: int, features: Tensor) -> int:
    """Return how many elements, 16 bytes at most, a load may take along a contiguous side.

    Kernels get ``side // alignment`` and the alignment as a constant. From the side only, Triton
    would load single elements where it is no multiple of 16, with three times the instructions.
    """
    return math.gcd(side, 16 // features.itemsize)


def _scan(width: int, align: int) -> int:
    """Return the pixels of a row that a warp loads at a time.

    More would spread a row and its scan over several warps.
    """
    return min(32 * align, _power_of_two(width))


def _row_tiles(width: int, align: int, tiles: Tiles, blocks: int = 1) -> dict[str, int]:
    """Choose how many rows a program scans: one for each warp at least, whatever the tiles say."""
    scan = _scan(width, align)
    return {"ROWS": max(tiles.warps, tiles.scan // (scan * _power_of_two(blocks))), "SCAN": scan}


def _column_tiles(width: int, tiles: Tiles) -> dict[str, int]:
    columns = min(tiles.lanes, _power_of_two(width))
    return {"LANES": tiles.lanes, "COLUMNS": columns, "STEPS": tiles.steps}


def _channel_tiles(channels: int, lanes: int, steps: int) -> dict[str, int]:
    return {"LANES": lanes, "CHANNELS": min(lanes, _power_of_two(channels)), "STEPS": steps}


def _power_of_two(n: int) -> int:
    """Return the smallest power of two that is not below n."""
    return 1 << (n - 1).bit_length()


def _cdiv(a: int, b: int) -> int:
    return -(-a // b)
