"""Launches of the Triton kernels: how maps are cut into programs, and in which order they run.

``docs/operator.md`` holds traffic, registers and reasons.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from flowdeblur.ops import _triton
from flowdeblur.ops._reference import state_dtype
from flowdeblur.ops._tiles import Tiles, table


def forward(features: Tensor, weights: Tensor, tanh: bool, out: Tensor) -> None:
    """Write the four directions' states of (B, C, H, W) features into ``out`` (B, 4C, H, W)."""
    batch, channels, height, width = features.shape
    tiles = table().for_forward(batch * channels * min(height, width) * features.itemsize)
    options = _options(features, tanh, tiles)
    tensors = (*_like(out, features, weights), out)
    with torch.cuda.device_of(out):  # type: ignore[no-untyped-call]
        if out.is_contiguous():
            align = _alignment(width, features)
            rows, columns = _row_tiles(width, align, tiles), _column_tiles(width, tiles)
            planes = columns["LANES"] // columns["COLUMNS"]
            parts = _cdiv(planes * height, rows["ROWS"]) + _cdiv(width, columns["COLUMNS"])
            _triton.forward_contiguous[(_cdiv(batch * channels, planes) * 2 * parts,)](
                *tensors, batch * channels, channels, height, width // align,
                ALIGN=align, **rows, **columns, **options,
            )  # fmt: skip
        else:
            align = _alignment(channels, features)
            lines = _channel_tiles(channels, tiles)
            abreast = lines["LANES"] // lines["CHANNELS"]
            parts = _cdiv(height, abreast) + _cdiv(width, abreast)
            grid = (batch * 2 * parts, _cdiv(channels, lines["CHANNELS"]))
            _triton.forward_channels_last[grid](
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
    """Write the gradients into ``grad_features`` and ``grad_weights``: columns first, then rows."""
    batch, channels, height, width = features.shape
    tiles = table().backward
    options = _options(features, tanh, tiles)
    # The sum over directions stays in the type of the states until its last addition.
    total = grad_features
    if features.dtype != state_dtype(features.dtype):
        total = torch.empty_like(grad_features, dtype=state_dtype(features.dtype))
    inputs = (*_like(grad_weights, features, weights, states, grad), total)
    with torch.cuda.device_of(grad_weights):  # type: ignore[no-untyped-call]
        if grad_weights.is_contiguous():
            align = _alignment(width, features)
            rows, columns = _row_tiles(width, align, tiles), _column_tiles(width, tiles)
            sizes = (batch * channels, channels, height, width // align)
            groups = _cdiv(batch * channels, columns["LANES"] // columns["COLUMNS"])
            _triton.backward_columns[(groups * _cdiv(width, columns["COLUMNS"]),)](
                *inputs, grad_weights, *sizes, ALIGN=align, **columns, **options
            )
            _triton.backward_rows[(_cdiv(batch * channels * height, rows["ROWS"]),)](
                *inputs, grad_features, grad_weights, *sizes, ALIGN=align, **rows, **options
            )
        else:
            align = _alignment(channels, features)
            lines = _channel_tiles(channels, tiles)
            for along_row, result in ((False, total), (True, grad_features)):
                groups = _cdiv(height if along_row else width, lines["LANES"] // lines["CHANNELS"])
                grid = (batch * groups, _cdiv(channels, lines["CHANNELS"]))
                _triton.backward_channels_last[grid](
                    *inputs, result, grad_weights, channels // align, height, width,
                    ALONG_ROW=along_row, ALIGN=align, **lines, **options,
                )  # fmt: skip


def _options(features: Tensor, tanh: bool, tiles: Tiles) -> dict[str, Any]:
    """Return what every launch is told. FP fusion is asked for: Triton 3.10 stops to imply it."""
    return {
        "DOUBLE": features.dtype == torch.float64,
        "TANH": tanh,
        "num_warps": tiles.warps,
        "enable_fp_fusion": True,
    }


def _like(result: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the inputs in the layout of the result, copied where theirs is another one."""
    layout = torch.contiguous_format if result.is_contiguous() else torch.channels_last
    return tuple(x.contiguous(memory_format=layout) for x in inputs)


def _alignment(side: int, features: Tensor) -> int:
    """Return how many elements, 16 bytes at most, a load may take along a contiguous side.

    Kernels get ``side // alignment`` and the alignment as a constant. Told the side alone, Triton
    loads element by element where it is no multiple of 16, with three times the instructions.
    """
    return math.gcd(side, 16 // features.itemsize)


def _row_tiles(width: int, align: int, tiles: Tiles) -> dict[str, int]:
    """Cut rows to one warp's widest load: wider, a row and its scan would spread over warps."""
    scan = min(32 * align, _power_of_two(width))
    return {"ROWS": tiles.scan // scan, "SCAN": scan}


def _column_tiles(width: int, tiles: Tiles) -> dict[str, int]:
    columns = min(tiles.lanes, _power_of_two(width))
    return {"LANES": tiles.lanes, "COLUMNS": columns, "STEPS": tiles.steps}


def _channel_tiles(channels: int, tiles: Tiles) -> dict[str, int]:
    abreast = min(tiles.lanes, _power_of_two(channels))
    return {"LANES": tiles.lanes, "CHANNELS": abreast, "STEPS": tiles.steps}


def _power_of_two(n: int) -> int:
    """Return the smallest power of two that is not below n."""
    return 1 << (n - 1).bit_length()


def _cdiv(a: int, b: int) -> int:
    return -(-a // b)
