"""Size, arithmetic, time and memory of whole networks."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast
from unittest import mock

import torch
from torch import Tensor, nn

from flowdeblur.benchmarks.machine import peak_mib
from flowdeblur.devices import DTYPES
from flowdeblur.networks import coupling
from flowdeblur.networks.cost import gflop, timed
from flowdeblur.networks.inference import infer
from flowdeblur.types import Network, Restoration


@dataclass(frozen=True)
class Row:
    """Measurements of one network.

    Attributes:
        name: of the model.
        parameters: their number.
        gflop: 1e9 floating-point operations a frame, 2 for a multiply-add.
        milliseconds: median time of a frame, by the type that it runs in.
        peak_mib: memory that restoring a frame takes at its highest, beside the weights, by type;
            empty if it cannot be measured.
        milliseconds_copying: float32 time with the operator replaced by a concatenation of copies;
            None without RNNs.
        streaming: whether this is one frame of a stream, for a network that otherwise runs over a
            window.
    """

    name: str
    parameters: int
    gflop: float
    milliseconds: dict[str, float]
    peak_mib: dict[str, float]
    milliseconds_copying: float | None
    streaming: bool


class Streaming(nn.Module):
    """A recurrent peer as it runs on a stream: one cell a frame, instead of a window.

    Args:
        network: has a method ``streaming_step(frame)``.
    """

    frame_offsets: tuple[int, ...] = (0,)
    flow_offsets: tuple[int, ...] = ()
    current_index = 0

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, *, keep_rnn_weights: bool = False) -> Restoration:
        """Do the work of one frame; the state is zero."""
        return Restoration(self.network.streaming_step(frames[:, 0]))  # type: ignore[operator]


def measure(
    networks: Mapping[str, Network],
    size: tuple[int, int],
    device: torch.device,
    repetitions: int,
    *,
    dtypes: tuple[str, ...] = ("float32",),
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Restore random frames of ``size`` (H, W), one at a time, in inference mode.

    Networks and types take turns, so that the ratios of their times bear a noisy machine.

    Args:
        networks: by name; recurrent peers are measured as :class:`Streaming`.
        size: (H, W) of the frames in pixels.
        device: where to measure.
        repetitions: of every measurement, after one that is not counted; 0 counts that one, which
            allocates its memory.
        dtypes: names in ``DTYPES``; those other than float32 by autocast.
        clock: in seconds; ``time.process_time`` counts the processor time of all threads instead,
            which bears a busy machine.
        progress: receives a line after each step.
    """
    subjects: dict[str, Network] = {
        name: Streaming(cast(nn.Module, network)) if hasattr(network, "streaming_step") else network
        for name, network in networks.items()
    }
    functions = {
        (name, dtype): _restoring(network.to(device).eval(), size, device, dtype)
        for name, network in subjects.items()
        for dtype in dtypes
    }
    peaks: dict[str, dict[str, float]] = defaultdict(dict)
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (name, dtype), restore in functions.items():
        start = clock()
        peak = peak_mib(restore, device)
        if peak is not None:
            peaks[name][dtype] = peak
        if not repetitions:
            times[name, dtype].append((clock() - start) * 1e3)
        progress(f"{name} {dtype}: peak {peak or 0:.0f} MiB")
    for repetition in range(1, repetitions + 1):
        for (name, dtype), restore in functions.items():
            times[name, dtype].append(timed(restore, device, clock))
            if dtype == "float32" and _has_rnns(subjects[name]):
                with _copies():
                    times[name, "copies"].append(timed(restore, device, clock))
            progress(f"{repetition}/{repetitions} {name} {dtype}: {times[name, dtype][-1]:.0f} ms")
    median = {key: statistics.median(each) for key, each in times.items()}
    return [
        Row(
            name,
            sum(each.numel() for each in network.parameters()),
            gflop(network, size),
            {dtype: median[name, dtype] for dtype in dtypes},
            peaks[name],
            median.get((name, "copies")),
            isinstance(network, Streaming),
        )
        for name, network in subjects.items()
    ]


def _restoring(
    network: Network, size: tuple[int, int], device: torch.device, dtype: str
) -> Callable[[], None]:
    frames = torch.rand(1, len(network.frame_offsets), 3, *size, device=device)

    def restore() -> None:
        infer(network, frames, dtype=DTYPES[dtype])

    return restore


def _has_rnns(network: Network) -> bool:
    return any(
        isinstance(each, coupling.SpatiallyVariantRNN) for _, each in network.named_modules()
    )


def _copies_of(features: Tensor, weights: Tensor, *, tanh: bool = False) -> Tensor:
    return torch.cat((features,) * 4, dim=1)


@contextmanager
def _copies() -> Iterator[None]:
    with mock.patch.object(coupling, "spatially_variant_rnn", _copies_of):
        yield
