"""Time and bandwidth of the spatially variant RNN and of other ways to compute it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from flowdeblur.benchmarks.gpu_timing import captured, kernel_microseconds, seconds_on_gpu
from flowdeblur.benchmarks.machine import peak_mib
from flowdeblur.benchmarks.operator_providers import Operator, Provider, providers
from flowdeblur.benchmarks.tune import tune
from flowdeblur.devices import describe_device, find_device
from flowdeblur.errors import UserError
from flowdeblur.extras import import_extra
from flowdeblur.files import write_text
from flowdeblur.ops import spatially_variant_rnn
from flowdeblur.ops._tiles import VARIABLE
from flowdeblur.viz.charts import bar_chart

# The three levels of the network: batches of 256 x 256 crops, and one 720p frame.
TRAINING = [(20, 24, 128, 128), (10, 24, 128, 128), (10, 48, 64, 64), (10, 96, 32, 32)]
VIDEO = [(1, 24, 360, 640), (1, 48, 180, 320), (1, 96, 90, 160)]
SHAPES = {"cuda": TRAINING + VIDEO, "cpu": TRAINING[1:] + VIDEO}
REPETITIONS = {"cuda": 50, "cpu": 5}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Elements that have to move, in units of B x C x H x W: f 1, w 4, h 4; then f 1, w 4, the gradient
# of h 4, the results 4 + 1, with the states computed again on the chip.
PASSES = {"forward": 9, "backward": 14, "both": 23}


@dataclass(frozen=True)
class Row:
    """What was measured of one way to compute one pass.

    Attributes:
        shape: (B, C, H, W) of the features.
        dtype: of all tensors.
        provider: the way.
        what: a key of PASSES.
        median_us: median time.
        low_us: 20th percentile of the time.
        high_us: 80th percentile.
        gb_per_s: bytes that have to move over the median time.
        percent_of_copy: bandwidth over that of a copy of the weights, measured in the same turns.
        host_us: median time until the call returns; on a GPU, the time to launch it.
        peak_mib: peak memory of a pass without its inputs; None where it cannot be measured.
    """

    shape: tuple[int, ...]
    dtype: str
    provider: str
    what: str
    median_us: float
    low_us: float
    high_us: float
    gb_per_s: float
    percent_of_copy: float
    host_us: float
    peak_mib: float | None


def main(argv: Sequence[str]) -> int:
    """Measure, print a Markdown table and write it, with the numbers as JSON."""
    parser = argparse.ArgumentParser(
        "flowdeblur benchmark operator",
        description=__doc__,
        epilog="example: flowdeblur benchmark operator --shapes 1x24x360x640 --dtypes float32",
    )
    parser.add_argument("--shapes", nargs="+", metavar="BxCxHxW", help="of the features")
    parser.add_argument("--providers", nargs="+", metavar="NAME", help="default: all of them")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["float32", "bfloat16"])
    parser.add_argument("--channels-last", action="store_true", help="measure NHWC tensors")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default: 5, on a GPU 50")
    parser.add_argument("--device", choices=SHAPES, help="default: a GPU if there is one")
    parser.add_argument("--out", type=Path, help="write OUT.md, OUT.json and OUT.svg")
    parser.add_argument(
        "--tune", type=Path, metavar="FILE",
        help="on a GPU: time the candidates of tiles and write the fastest to FILE",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    device = find_device(arguments.device)
    if arguments.tune is not None:
        if device.type != "cuda":
            raise UserError("--tune: the CPU has no tiles to tune; leave the option out")
        save = partial(write_text, arguments.tune)
        tune(seconds_on_gpu, describe_device(device), save=save)
        print(f"export {VARIABLE}={arguments.tune}")
        return 0
    shapes = [_shape(text) for text in arguments.shapes or ()] or SHAPES[device.type]
    repetitions = arguments.repetitions or REPETITIONS[device.type]
    layout = torch.channels_last if arguments.channels_last else torch.contiguous_format
    chosen = _choose(arguments.providers, device)
    if arguments.out is not None:
        import_extra("matplotlib", "report")  # before anything is measured
    header = _header(device, repetitions, layout)
    rows: list[Row] = []
    for shape in shapes:
        for dtype in arguments.dtypes:
            print(f"{'x'.join(map(str, shape))} {dtype}", flush=True)
            rows += measure(shape, dtype, device, repetitions, layout, chosen)
            if arguments.out is not None:  # a run that is killed keeps what it has measured
                _write(arguments.out, header, rows)
    print(f"\n{to_markdown(header, rows)}")
    return 0


def _write(out: Path, header: str, rows: Sequence[Row]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out.with_suffix(".md"), to_markdown(header, rows))
    content = {"measured": header, "rows": [asdict(row) for row in rows]}
    write_text(out.with_suffix(".json"), json.dumps(content, indent=1) + "\n")
    write_text(out.with_suffix(".svg"), _plot(header, rows))


def _choose(names: Sequence[str] | None, device: torch.device) -> list[Provider]:
    available = providers(device)
    unknown = set(names or ()) - set(available)
    if unknown:
        raise UserError(
            f"--providers {' '.join(sorted(unknown))}: on {device.type} choose from "
            f"{', '.join(available)}"
        )
    return [available[name] for name in names or available]


def measure(
    shape: tuple[int, ...],
    dtype: str,
    device: torch.device,
    repetitions: int,
    layout: torch.memory_format,
    chosen: Sequence[Provider],
) -> list[Row]:
    """Time every provider and pass at one size, in turns, so that all see the same noise.

    A provider that fails is reported and left out.
    """
    batch, channels, height, width = shape
    make = partial(torch.randn, device=device, dtype=DTYPES[dtype])
    f = make(shape).contiguous(memory_format=layout).requires_grad_()
    maps = (batch, 4 * channels, height, width)
    w = make(maps).tanh_().contiguous(memory_format=layout).requires_grad_()
    g = make(maps).contiguous(memory_format=layout)
    target = torch.empty_like(g)
    runs: dict[tuple[str, str], Callable[[], object]] = {
        ("copy", "forward"): lambda: target.copy_(g),
        ("tanh of the weights, for scale", "forward"): lambda: torch.tanh(w.detach()),
    }
    torch.compiler.reset()  # else a compiled provider would run uncompiled after eight sizes
    for provider in chosen:
        try:
            runs |= _passes(provider, f, w, g)
        except Exception as error:  # whatever another implementation raises, the rest is measured
            print(f"  {provider.name}: {type(error).__name__}: {error}".splitlines()[0], flush=True)
    peaks = {key: peak_mib(run, device) for key, run in runs.items()}
    times = _take_turns(runs, device, repetitions)
    if device.type == "cuda" and ("flowdeblur", "both") in runs:
        for name, microseconds in kernel_microseconds(runs["flowdeblur", "both"]).items():
            print(f"  {microseconds:8.1f} us {name}", flush=True)
    copies = times.pop(("copy", "forward"))
    copied = 2 * g.nbytes / statistics.median(on_device for on_device, _ in copies)
    rows = []
    for (name, what), both_times in times.items():
        seconds, host = (list(each) for each in zip(*both_times, strict=True))
        median, low, high = (_quantile(seconds, q) for q in (0.5, 0.2, 0.8))
        bandwidth = PASSES[what] * f.nbytes / median
        rows.append(
            Row(
                shape, dtype, name, what, median * 1e6, low * 1e6, high * 1e6,
                bandwidth / 1e9, 100 * bandwidth / copied,
                statistics.median(host) * 1e6, peaks[name, what],
            )
        )  # fmt: skip
    return rows


def _passes(
    provider: Provider, f: Tensor, w: Tensor, g: Tensor
) -> dict[tuple[str, str], Callable[[], object]]:
    """Return the passes of a provider, after one call of each: the first one may compile."""
    operator, name = provider.operator, provider.name
    runs: dict[tuple[str, str], Callable[[], object]] = {
        (name, "forward"): partial(_forward, operator, f, w)
    }
    if provider.differentiable:
        runs[name, "backward"] = partial(_backward, operator(f, w), f, w, g)
        runs[name, "both"] = partial(_both, operator, f, w, g)
    for run in runs.values():
        run()
    if f.is_cuda and operator is spatially_variant_rnn:
        for what in ("forward", "both"):
            runs[f"{name}, CUDA graph", what] = captured(runs[name, what])
    return runs


def _forward(operator: Operator, f: Tensor, w: Tensor) -> Tensor:
    with torch.no_grad():
        return operator(f, w)


def _backward(h: Tensor, f: Tensor, w: Tensor, g: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(h, (f, w), g, retain_graph=True)


def _both(operator: Operator, f: Tensor, w: Tensor, g: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(operator(f, w), (f, w), g)


def to_markdown(header: str, rows: Iterable[Row]) -> str:
    """The table, with what it was measured on."""
    lines = [
        header,
        "",
        "| features | type | provider | pass | median us | 20 % | 80 % | host us | GB/s "
        "| % of copy | peak MiB |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {'x'.join(map(str, row.shape))} | {row.dtype} | {row.provider} | {row.what} "
        f"| {row.median_us:.0f} | {row.low_us:.0f} | {row.high_us:.0f} | {row.host_us:.0f} "
        f"| {row.gb_per_s:.1f} | {row.percent_of_copy:.0f} "
        f"| {'' if row.peak_mib is None else f'{row.peak_mib:.0f}'} |"
        for row in rows
    ]
    counted = ", ".join(f"{name} {units}" for name, units in PASSES.items())
    lines += [
        "",
        f"GB/s: bytes that have to move (BCHW elements: {counted}) over the median time. "
        "Host: until the call returns. Peak: beside the inputs; backward from saved tensors.",
    ]
    return "\n".join(lines) + "\n"


def _take_turns(
    runs: dict[tuple[str, str], Callable[[], object]], device: torch.device, repetitions: int
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Return seconds of every repetition, on the device and on the host, after one not counted."""
    times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in runs}
    for turn in range(repetitions + 1):
        for key, run in runs.items():
            seconds = seconds_on_gpu(run) if device.type == "cuda" else _seconds(run)
            if turn:
                times[key].append(seconds)
    return times


def _seconds(run: Callable[[], object]) -> tuple[float, float]:
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    return seconds, seconds


def _quantile(seconds: list[float], q: float) -> float:
    return torch.tensor(seconds, dtype=torch.float64).quantile(q).item()


def _header(device: torch.device, repetitions: int, layout: torch.memory_format) -> str:
    triton = f", triton {version('triton')}" if importlib.util.find_spec("triton") else ""
    maps = "channels_last maps" if layout == torch.channels_last else "contiguous maps"
    where = describe_device(device)
    return f"Spatially variant RNN, {maps}, {repetitions} repetitions. {where}{triton}."


def _plot(header: str, rows: Sequence[Row]) -> str:
    groups: dict[str, list[tuple[str, float, str]]] = {}
    for row in rows:
        if row.what != "both":
            title = f"{'x'.join(map(str, row.shape))} {row.dtype}"
            label = f"{row.provider}, {row.what}"
            text = f"{row.percent_of_copy:.0f} %, {row.median_us:.0f} us"
            groups.setdefault(title, []).append((label, row.percent_of_copy, text))
    return bar_chart(f"Bandwidth in percent of a copy's. {header}", groups, full=100)


def _shape(text: str) -> tuple[int, ...]:
    sides = text.split("x")
    if len(sides) != 4 or not all(side.isdecimal() and int(side) for side in sides):
        raise UserError(f"--shapes {text}: write sizes BxCxHxW, such as 1x24x360x640")
    return tuple(int(side) for side in sides)
