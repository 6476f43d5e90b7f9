"""The CPU kernel of the spatially variant RNN: row loops over staged blocks of lines.

All four directions take one path. A block of steps is copied, scan dimension first, into buffers
that stay in the cache; there each step is one contiguous ``torch.lerp``; then the block is copied
out. The copies transpose (left>right and right>left), cast (half types are computed in float32) and
accept any strides. They and the other operations on whole blocks run on all of torch's threads.
``docs/operator.md`` holds the timings of this design and of those that lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from flowdeblur.ops._reference import DIRECTIONS, state_dtype

# Elements of a buffer, 4 MiB in float32. Smaller blocks pay the fixed cost of a copy too often.
_BUFFER_ELEMENTS = 1024 * 1024
# A transposing copy takes this many lines at a time, whose pages the second-level TLB holds:
# 4.3 ms against 9.7 ms for all 9216 lines of a (24, 384, 640) map.
_LINES_PER_COPY = 2048
# Blocks are a multiple of 16 steps, a cache line of float32 in left>right maps. The rows of a
# buffer are padded by as much: rows a multiple of 4096 bytes apart share one set of the cache, and
# copying them out took 8.6 ms instead of 2.9 ms.
_CACHE_LINE = 16


def forward(features: Tensor, weights: Tensor, tanh: bool, out: Tensor) -> None:
    """Write the four directions' states of (B, C, H, W) features into ``out`` (B, 4C, H, W)."""
    buffers = _Buffers(2, features)
    for (dim, from_end), w_map, out_map in zip(
        DIRECTIONS, weights.chunk(4, dim=1), out.chunk(4, dim=1), strict=True
    ):
        f_lines, w_lines, out_lines = (x.movedim(dim, 0) for x in (features, w_map, out_map))
        f_buffer, h_buffer = buffers.along(dim)
        state = f_buffer.new_zeros(f_buffer.shape[1:])
        for steps in _blocks(len(f_lines), len(f_buffer) - 1, from_end):
            f = _stage(f_lines[steps], f_buffer)
            h = _stage(w_lines[steps], h_buffer)  # the weights, which the states overwrite
            if tanh:
                h.tanh_()
            h_rows = _rows(h, from_end)
            _scan(_rows(f, from_end), h_rows, state, out=h_rows)
            out_lines[steps] = h
            state.copy_(h_rows[-1])


def backward(
    features: Tensor,
    weights: Tensor,
    states: Tensor,
    grad: Tensor,
    tanh: bool,
    grad_features: Tensor,
    grad_weights: Tensor,
) -> None:
    """Write the gradients into ``grad_features`` and ``grad_weights``.

    Let G_t be the whole gradient of h_t: G_t = grad_t + w_{t+1} G_{t+1}. The gradient of w_t is
    G_t (h_{t-1} - f_t), that of f_t the sum of (1 - w_t) G_t over the directions. A block computes
    its states again from the one saved before it: h_{t-1} - f_t cancels, and in bfloat16 the saved
    states would double its error.
    """
    buffers = _Buffers(4, features)
    # Four directions are added up: in float32 at least.
    total = grad_features.to(state_dtype(features.dtype)).zero_()
    for (dim, from_end), *maps in zip(
        DIRECTIONS, *(x.chunk(4, dim=1) for x in (weights, states, grad, grad_weights)), strict=True
    ):
        f_lines, gf_lines, w_lines, h_lines, grad_lines, gw_lines = (
            x.movedim(dim, 0) for x in (features, total, *maps)
        )
        f_buffer, w_buffer, g_buffer, h_buffer = buffers.along(dim)
        carry = f_buffer.new_zeros(f_buffer.shape[1:])
        for steps in _blocks(len(f_lines), len(f_buffer) - 1, not from_end):
            f = _stage(f_lines[steps], f_buffer)
            w = _stage(w_lines[steps], w_buffer)
            if tanh:
                w.tanh_()
            w_rows = _rows(w, from_end)
            h = h_buffer[: len(f) + 1]
            h_rows = _rows(h, from_end)
            before = steps.stop if from_end else steps.start - 1
            if 0 <= before < len(h_lines):
                h_rows[0].copy_(h_lines[before])
            else:
                h_rows[0].zero_()
            _scan(_rows(f, from_end), w_rows, h_rows[0], out=h_rows[1:])

            g = _stage(grad_lines[steps], g_buffer)
            g_rows = _rows(g, from_end)
            g_rows[-1].add_(carry)
            for t in range(len(g_rows) - 1, 0, -1):
                g_rows[t - 1].addcmul_(w_rows[t], g_rows[t])
            torch.mul(w_rows[0], g_rows[0], out=carry)

            gw = h[1:] if from_end else h[:-1]  # h_{t-1}
            gw.sub_(f).mul_(g)
            if tanh:
                torch.ops.aten.tanh_backward.grad_input(gw, w, grad_input=gw)
            gw_lines[steps] = gw
            gf_lines[steps].addcmul_(w.sub_(1), g, value=-1)
    grad_features.copy_(total)


def _scan(f: Sequence[Tensor], w: Sequence[Tensor], h: Tensor, out: Sequence[Tensor]) -> None:
    """Walk h_t = f_t + w_t (h_{t-1} - f_t) from the state ``h``; ``out`` may be ``w``."""
    for f_t, w_t, out_t in zip(f, w, out, strict=True):
        h = torch.lerp(f_t, h, w_t, out=out_t)


def _rows(block: Tensor, from_end: bool) -> Sequence[Tensor]:
    """Return the steps of a block in the order in which the recurrence visits them."""
    rows = block.unbind(0)
    return rows[::-1] if from_end else rows


def _blocks(length: int, size: int, from_end: bool) -> Iterator[slice]:
    starts = range(0, length, size)
    for start in reversed(starts) if from_end else starts:
        yield slice(start, min(start + size, length))


def _stage(lines: Tensor, buffer: Tensor) -> Tensor:
    """Copy lines (T, B, C, L) into the first T rows of a buffer and return these."""
    staged = buffer[: len(lines)]
    if lines.stride(3) == 1:
        return staged.copy_(lines)
    channels = max(1, _LINES_PER_COPY // lines.shape[3])
    for target, source in zip(staged.unbind(1), lines.unbind(1), strict=True):
        for part, lines_of_part in zip(
            torch.split(target, channels, 1), torch.split(source, channels, 1), strict=True
        ):
            part.copy_(lines_of_part)
    return staged


class _Buffers:
    """Memory for blocks of lines, taken once and viewed anew for every direction."""

    def __init__(self, count: int, features: Tensor) -> None:
        self._shape = features.shape
        elements = max(self._steps(dim) * self._pitch(dim) for dim in (2, 3))
        self._memory = features.new_empty((count, elements), dtype=state_dtype(features.dtype))

    def along(self, dim: int) -> list[Tensor]:
        """Return buffers (T, B, C, L), where L is the number of lines along ``dim`` in one map."""
        steps, pitch = self._steps(dim), self._pitch(dim)
        batch, channels, *sides = self._shape
        lines = batch * channels * sides[3 - dim]
        return [
            memory[: steps * pitch].view(steps, pitch)[:, :lines].view(steps, batch, channels, -1)
            for memory in self._memory
        ]

    def _pitch(self, dim: int) -> int:
        lines = self._shape.numel() // self._shape[dim]
        return (lines // _CACHE_LINE + 2) * _CACHE_LINE

    def _steps(self, dim: int) -> int:
        """Return the rows of a buffer: one for the state before the block, and the block."""
        blocks = _BUFFER_ELEMENTS // self._pitch(dim) // _CACHE_LINE
        return 1 + min(self._shape[dim], max(1, blocks) * _CACHE_LINE)
