"""The CPU kernel of the spatially variant RNN: row loops over planes.

All four directions take one path. Scan lines are laid out so that a step is a contiguous row: each
step is one ``torch.lerp`` over the rows of all planes. Planes that have this layout already, in
float32, are processed in place; others are copied into buffers and out again. The copies transpose
(left>right and right>left), cast (half types are computed in float32) and accept any strides.

Copies and other operations on whole buffers run on all of torch's threads, rows on one. The former
are few on purpose: each may wait for a thread that the operating system has suspended, and on a
busy machine many small ones took ten times as long. ``docs/operator.md`` lists the timings of this
design and of the alternatives.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from flowdeblur.ops._reference import state_dtype

# Elements of a buffer, 24 MiB in float32: larger ones are no faster.
_BUFFER_ELEMENTS = 6 * 2**20
# Four buffers, padded. Single planes may be larger than a buffer should be.
_MAX_KEPT_BYTES = 112 * 2**20
# Rows are padded by a cache line: at a distance of 4096 bytes and the like they would share a set
# of the cache, and a transposing copy out took 8.6 ms instead of 2.9 ms.
_PADDING = 16


def forward(features: Tensor, weights: Tensor, tanh: bool, out: Tensor) -> None:
    """Write the four directions' states of (B, C, H, W) features into ``out`` (B, 4C, H, W)."""
    _touch(out)
    for (f_lines, w_lines, h_lines), buffers in _parts([features], [weights, out], buffers=2):
        f = f_lines if _is_contiguous_float(f_lines) else buffers[0].copy_(f_lines)
        in_place = _is_contiguous_float(h_lines)
        for from_end in (0, 1):
            h = h_lines[:, from_end] if in_place else buffers[1]
            w = _activated(w_lines[:, from_end], tanh, h)
            f_rows, w_rows, h_rows = (_steps(x, from_end) for x in (f, w, h))
            state = torch.zeros_like(h_rows[0])
            for f_t, w_t, h_t in zip(f_rows, w_rows, h_rows, strict=True):
                state = torch.lerp(f_t, state, w_t, out=h_t)  # w_t may be h_t
            if not in_place:
                h_lines[:, from_end] = h


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
    G_t (h_{t-1} - f_t), that of f_t the sum of (1 - w_t) G_t over the directions. ``states`` are
    not read but computed again: a pass over buffers costs less than a copy of them, and
    h_{t-1} - f_t cancels, which doubles the error of states that were rounded to a half type.
    """
    _touch(grad_weights)
    # Four directions are added up: in float32 at least.
    total = grad_features.to(state_dtype(features.dtype)).zero_()
    maps = [weights, grad, grad_weights]
    for lines, buffers in _parts([features, total], maps, buffers=4):
        f_lines, total_lines, w_lines, grad_lines, gw_lines = lines
        f = f_lines if _is_contiguous_float(f_lines) else buffers[0].copy_(f_lines)
        in_place = _is_contiguous_float(gw_lines)
        for from_end in (0, 1):
            h = gw_lines[:, from_end] if in_place else buffers[1]
            w = _activated(w_lines[:, from_end], tanh, buffers[2])
            g = buffers[3].copy_(grad_lines[:, from_end])
            f_rows, w_rows, g_rows, h_rows = (_steps(x, from_end) for x in (f, w, g, h))
            h_rows[0].zero_()
            for t in range(len(h_rows) - 1):
                torch.lerp(f_rows[t], h_rows[t], w_rows[t], out=h_rows[t + 1])  # h holds h_{t-1}
            for t in range(len(g_rows) - 1, 0, -1):
                g_rows[t - 1].addcmul_(w_rows[t], g_rows[t])
            gw = h.sub_(f).mul_(g)
            if tanh:
                torch.ops.aten.tanh_backward.grad_input(gw, w, grad_input=gw)
            if not in_place:
                gw_lines[:, from_end] = gw
            total_lines.addcmul_(torch.sub(w, 1, out=buffers[2]), g, value=-1)
    grad_features.copy_(total)


def _parts(
    features: Sequence[Tensor], maps: Sequence[Tensor], buffers: int
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Cut tensors into groups of planes, and each group into rows and columns.

    Args:
        features: tensors (B, C, H, W).
        maps: tensors (B, 4C, H, W).
        buffers: number of buffers.

    Yields:
        Views (b, c, T, L) of the features and (b, 2, c, T, L) of the maps: L lines of T steps, in
        two directions. And buffers (b, c, T, L), which all parts share.
    """
    batch, channels, height, width = features[0].shape
    planes = max(1, _BUFFER_ELEMENTS // (height * width))
    c_step = min(channels, planes)
    b_step = min(batch, max(1, planes // channels))
    padded = max(height * (width + _PADDING), (height + _PADDING) * width)
    dtype = state_dtype(features[0].dtype)
    spaces = _WORKSPACE.take(buffers, b_step * c_step * padded, dtype)
    directions = [x.view(batch, 2, 2, channels, height, width) for x in maps]
    for b in range(0, batch, b_step):
        for c in range(0, channels, c_step):
            group = slice(b, b + b_step), slice(c, c + c_step)
            for axis in range(2):
                views = [x[group] for x in features]
                views += [x[group[0], axis, :, group[1]] for x in directions]
                views = views if axis else [x.mT for x in views]
                yield views, [_buffer(x, views[0].shape) for x in spaces]


def _touch(fresh: Tensor) -> None:
    """Have all threads touch each page of a dense tensor's fresh memory.

    The operating system clears a page when it is first written. Rows that are processed in place
    are written by one thread, which would wait for all of these pages.
    """
    fresh.as_strided([math.ceil(fresh.numel() / 256)], [256]).zero_()


class _Workspace(threading.local):
    """Memory for buffers, which each thread keeps from one call to the next.

    Freed, it would go back to the operating system (the backward's four buffers are more than glibc
    keeps), and the next call would wait for fresh pages.
    """

    def __init__(self) -> None:
        self._kept = torch.empty(0, dtype=torch.uint8)

    def take(self, count: int, elements: int, dtype: torch.dtype) -> Tensor:
        """Return ``count`` uninitialized rows of ``elements``."""
        size = count * elements * dtype.itemsize
        if size > _MAX_KEPT_BYTES:
            return torch.empty(count, elements, dtype=dtype)
        if self._kept.numel() < size:
            with torch.inference_mode(False):  # later calls may be outside of it
                self._kept = torch.empty(size, dtype=torch.uint8)
        return self._kept[:size].view(dtype).view(count, elements)


_WORKSPACE = _Workspace()


def _is_contiguous_float(lines: Tensor) -> bool:
    """Whether lines can be processed in place."""
    return lines.stride(-1) == 1 and lines.dtype == state_dtype(lines.dtype)


def _activated(weights: Tensor, tanh: bool, buffer: Tensor) -> Tensor:
    """Return weights as contiguous lines, in ``buffer`` unless they need no change."""
    if _is_contiguous_float(weights):
        return torch.tanh(weights, out=buffer) if tanh else weights
    buffer.copy_(weights)
    return buffer.tanh_() if tanh else buffer


def _buffer(space: Tensor, shape: Sequence[int]) -> Tensor:
    *outer, length = shape
    rows = math.prod(outer)
    return space[: rows * (length + _PADDING)].view(*outer, length + _PADDING)[..., :length]


def _steps(lines: Tensor, from_end: int) -> Sequence[Tensor]:
    """Return the rows of a buffer (b, c, T, L) in the order in which the recurrence visits them."""
    rows = lines.unbind(2)
    return rows[::-1] if from_end else rows
