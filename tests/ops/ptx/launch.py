"""Launches on CPU tensors: kernels compiled for a GPU that is not there, run by the interpreter."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
import torch
from benchmarks.absent_gpu import absent_gpu, cuda
from tests.ops.ptx.machine import Machine
from tests.ops.ptx.memory import Memory
from tests.ops.ptx.program import parse
from triton.compiler import CompiledKernel

from flowdeblur.ops import _cuda

_parse = cache(parse)


@contextlib.contextmanager
def interpreted(capability: int = 90) -> Iterator[list[CompiledKernel]]:
    """Let the operator run CPU tensors through its compiled CUDA kernels.

    Yields:
        The kernels launched so far.
    """
    kernels: list[CompiledKernel] = []

    def launch(kernel: CompiledKernel, grid: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        kernels.append(kernel)
        run(kernel, grid, arguments)

    operator = sys.modules["flowdeblur.ops.spatially_variant_rnn"]
    with (
        absent_gpu(cuda(capability), launch),
        mock.patch.object(operator, "_cpu", _cuda),
    ):
        yield kernels


def run(kernel: CompiledKernel, grid: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
    """Execute one launch and copy what it wrote into the tensors among its arguments."""
    tensors = {x.data_ptr(): x for x in arguments if isinstance(x, torch.Tensor)}
    memory = Memory(sum(_bytes(x).size + 1024 for x in tensors.values()))
    addresses = {
        pointer: memory.allocate(_bytes(x).size, pointer % 16, _bytes(x))
        for pointer, x in tensors.items()
    }
    values = [addresses[x.data_ptr()] if isinstance(x, torch.Tensor) else x for x in arguments]
    Machine(_parse(kernel.asm["ptx"]), values, (*grid, 1)[:2], memory).run()
    for pointer, x in tensors.items():
        _bytes(x)[:] = memory.content(addresses[pointer], _bytes(x).size)


def _bytes(x: torch.Tensor) -> np.ndarray:
    """Return the memory of a dense tensor."""
    buffer = (ctypes.c_uint8 * (x.numel() * x.itemsize)).from_address(x.data_ptr())
    return np.ctypeslib.as_array(buffer)
