"""Arithmetic and time of a network, per frame."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

import flowdeblur.ops.flops  # noqa: F401  (registers the operator's formula)
from flowdeblur.types import Network


def gflop(network: Network, size: tuple[int, int]) -> float:
    """Count 1e9 floating-point operations per frame, two for a multiply-add.

    Args:
        network: counted on a copy without data, so that any size is cheap.
        size: (H, W) of the frame in pixels.

    Example:
        >>> from flowdeblur.weights import load
        >>> round(gflop(load("small"), (64, 64)), 2)
        0.1
    """
    twin = copy.deepcopy(network).to(torch.device("meta"))
    frames = torch.empty(1, len(network.frame_offsets), 3, *size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        twin(frames, keep_rnn_weights=False)
    return float(counter.get_total_flops()) / 1e9


def milliseconds(
    network: Network, size: tuple[int, int], device: torch.device, repetitions: int
) -> float:
    """Measure the median time of a random frame in float32 and inference mode.

    Args:
        network: moved to ``device`` and set to evaluation mode.
        size: (H, W) of the frame in pixels.
        device: where to measure.
        repetitions: number of measurements, after one that is not counted.
    """
    network = network.to(device).eval()
    frames = torch.rand(1, len(network.frame_offsets), 3, *size, device=device)

    def restore() -> None:
        with torch.inference_mode():
            network(frames, keep_rnn_weights=False)

    restore()
    return statistics.median(timed(restore, device) for _ in range(repetitions))


def timed(
    function: Callable[[], object],
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Run a function and return the milliseconds until its work on ``device`` is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = clock()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (clock() - start) * 1e3
