"""Compile the operator's kernels for a GPU that is not there, as a launch on it would.

Triton's own just-in-time compiler does the work: argument types, alignment, options and the keys of
its cache are those of the real launch. Only the launch itself is replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from triton.backends.compiler import GPUTarget
from triton.compiler import CompiledKernel
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from flowdeblur.ops import _cuda

OnLaunch = Callable[[CompiledKernel, tuple[int, ...], tuple[Any, ...]], None]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def cuda(capability: int) -> GPUTarget:
    """Return the target of an NVIDIA GPU, 90 for compute capability 9.0."""
    return GPUTarget("cuda", capability, 32)


@contextlib.contextmanager
def absent_gpu(target: GPUTarget, on_launch: OnLaunch) -> Iterator[None]:
    """Compile each launch for ``target`` and call ``on_launch`` in its place.

    Args:
        target: architecture to compile for.
        on_launch: called with the compiled kernel, the grid and the runtime arguments.
    """
    compile_and_launch = JITFunction.run

    def run(kernel: Any, *args: Any, grid: tuple[int, ...], warmup: bool, **options: Any) -> None:
        on_launch(compile_and_launch(kernel, *args, grid=grid, warmup=True, **options), grid, args)

    with (
        mock.patch.object(driver, "_active", _Driver(target)),
        mock.patch.object(JITFunction, "run", run),
    ):
        yield


class _Driver:
    """What the just-in-time compiler asks a driver."""

    def __init__(self, target: GPUTarget) -> None:
        self._target = target

    def get_current_device(self) -> str:
        """Return a key of the in-memory cache that no real device has."""
        return f"absent {self._target}"

    def get_current_stream(self, device: str) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return self._target


def compile_passes(
    shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format, target: GPUTarget
) -> list[CompiledKernel]:
    """Compile every kernel that a forward and a backward pass with tanh launch.

    Args:
        shape: (B, C, H, W) of the features.
        dtype: type of all tensors.
        layout: layout of all tensors.
        target: architecture to compile for.
    """
    batch, channels, *size = shape
    compiled: list[CompiledKernel] = []
    features = torch.empty(shape, dtype=dtype).contiguous(memory_format=layout)
    maps = torch.empty((batch, 4 * channels, *size), dtype=dtype).contiguous(memory_format=layout)
    with absent_gpu(target, lambda kernel, *_: compiled.append(kernel)):
        _cuda.forward(features, maps, True, maps)
        _cuda.backward(features, maps, maps, maps, True, features, maps)
    return compiled
