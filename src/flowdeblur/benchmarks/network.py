"""Size, arithmetic, time and memory of whole networks."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import torch
from torch import Tensor

from flowdeblur.benchmarks.machine import peak_mib
from flowdeblur.devices import describe_device
from flowdeblur.networks import coupling
from flowdeblur.networks.cost import gflop, timed
from flowdeblur.types import Network


@dataclass(frozen=True)
class Row:
    """What was measured of a network.

    Attributes:
        name: of the model.
        parameters: their number.
        gflop: 1e9 floating-point operations a frame, 2 for a multiply-add.
        milliseconds: median time of a frame.
        milliseconds_copying: the same with the operator replaced by a concatenation of copies; None
            without RNNs.
        peak_mib: memory that restoring a frame takes at its highest, beside the weights; None where
            it cannot be told.
    """

    name: str
    parameters: int
    gflop: float
    milliseconds: float
    milliseconds_copying: float | None
    peak_mib: float | None


def measure(
    name: str,
    network: Network,
    size: tuple[int, int],
    device: torch.device,
    repetitions: int,
) -> Row:
    """Restore random frames of ``size`` (H, W), one at a time, in float32 and inference mode.

    Both versions of a network with RNNs take turns, so that their ratio bears a noisy machine.
    """
    network = network.to(device).eval()
    frames = torch.rand(1, len(network.frame_offsets), 3, *size, device=device)

    def restore() -> None:
        with torch.inference_mode():
            network(frames, keep_rnn_weights=False)

    has_rnns = any(
        isinstance(each, coupling.SpatiallyVariantRNN) for _, each in network.named_modules()
    )
    peak = peak_mib(restore, device)
    times, copying_times = [], []
    for _ in range(repetitions):
        times.append(timed(restore, device))
        if has_rnns:
            with _copies():
                copying_times.append(timed(restore, device))
    return Row(
        name,
        sum(each.numel() for each in network.parameters()),
        gflop(network, size),
        statistics.median(times),
        statistics.median(copying_times) if has_rnns else None,
        peak,
    )


def to_markdown(rows: list[Row], size: tuple[int, int], device: torch.device) -> str:
    """The table, with what it was measured on."""
    lines = [
        f"Networks, one frame of {size[0]}x{size[1]}, float32. {describe_device(device)}.",
        "",
        "| model | parameters | GFLOP | ms / frame | ratio to copies | peak MiB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        ratio = (
            ""
            if row.milliseconds_copying is None
            else f"{row.milliseconds / row.milliseconds_copying:.3f}"
        )
        peak = "" if row.peak_mib is None else f"{row.peak_mib:.0f}"
        lines.append(
            f"| {row.name} | {row.parameters:,} | {row.gflop:.1f} | {row.milliseconds:.1f} "
            f"| {ratio} | {peak} |"
        )
    lines += [
        "",
        "Ratio to copies: time over that of the same network whose operator copies its features.",
    ]
    return "\n".join(lines) + "\n"


def _copies_of(features: Tensor, weights: Tensor, *, tanh: bool = False) -> Tensor:
    return torch.cat((features,) * 4, dim=1)


@contextmanager
def _copies() -> Iterator[None]:
    with mock.patch.object(coupling, "spatially_variant_rnn", _copies_of):
        yield
