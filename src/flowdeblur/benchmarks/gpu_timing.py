"""Timing of short functions on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

# About a millisecond: no launch of an operator takes the host longer.
_HEAD_START_CYCLES = 2_000_000


def seconds_on_gpu(run: Callable[[], object]) -> tuple[float, float]:
    """Time a function from a cold level-2 cache.

    The GPU waits until the host has launched everything, so that the first number does not contain
    the time of launches.

    Returns:
        Seconds on the device, and until the call returned.
    """
    _read_only_memory().sum()  # fills the cache with lines that need not be written back
    start, end = (
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        for _ in range(2)
    )
    torch.cuda._sleep(_HEAD_START_CYCLES)  # type: ignore[no-untyped-call]
    start.record()
    called = time.perf_counter()
    run()
    returned = time.perf_counter()
    end.record()
    end.synchronize()
    milliseconds: float = start.elapsed_time(end)
    return milliseconds / 1e3, returned - called


def captured(run: Callable[[], object]) -> Callable[[], object]:
    """Return the replay of a CUDA graph of a function.

    Kernels are compiled and loaded before the capture, which neither would survive.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def kernel_microseconds(run: Callable[[], object], repetitions: int = 10) -> dict[str, float]:
    """Return the mean time of each kernel that a function launches, by name."""
    run()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(repetitions):
            run()
        torch.cuda.synchronize()
    events = profile.key_averages()
    return {event.key: event.device_time_total / repetitions for event in events}


@cache
def _read_only_memory() -> Tensor:
    """Return more memory than any level-2 cache holds."""
    return torch.zeros(2**28, dtype=torch.uint8, device="cuda")
