"""Time and bandwidth of the spatially variant RNN alone, beside other ways to compute it."""

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

from flowdeblur.benchmarks.machine import peak_mib
from flowdeblur.benchmarks.plot import bars
from flowdeblur.benchmarks.tune import tune
from flowdeblur.devices import describe_device, find_device
from flowdeblur.errors import UserError
from flowdeblur.files import write_text
from flowdeblur.ops import spatially_variant_rnn
from flowdeblur.ops._reference import DIRECTIONS
from flowdeblur.ops._tiles import VARIABLE

Operator = Callable[[Tensor, Tensor], Tensor]
Line = Callable[[Tensor, Tensor, int, bool], Tensor]

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
        low_us: time below which a fifth of the repetitions lie.
        high_us: time above which a fifth lie.
        gb_per_s: bytes that have to move over the median time.
        percent_of_copy: bandwidth over that of a copy of the weights, measured in the same turns.
        host_us: median time until the call returns; on a GPU, the time to launch it.
        peak_mib: memory that a pass takes at its highest, inputs not counted; None where it cannot
            be told.
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
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["float32", "bfloat16"])
    parser.add_argument("--channels-last", action="store_true", help="lay all tensors out NHWC")
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
        write_text(arguments.tune, tune(seconds_on_gpu, describe_device(device)))
        print(f"export {VARIABLE}={arguments.tune}")
        return 0
    shapes = [_shape(text) for text in arguments.shapes or ()] or SHAPES[device.type]
    repetitions = arguments.repetitions or REPETITIONS[device.type]
    layout = torch.channels_last if arguments.channels_last else torch.contiguous_format
    rows: list[Row] = []
    for shape in shapes:
        for dtype in arguments.dtypes:
            print(f"{'x'.join(map(str, shape))} {dtype}", flush=True)
            rows += measure(shape, dtype, device, repetitions, layout)
    header = _header(device, repetitions, layout)
    table = to_markdown(header, rows)
    print(f"\n{table}")
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(arguments.out.with_suffix(".md"), table)
        content = {"measured": header, "rows": [asdict(row) for row in rows]}
        write_text(arguments.out.with_suffix(".json"), json.dumps(content, indent=1) + "\n")
        write_text(arguments.out.with_suffix(".svg"), _plot(header, rows))
    return 0


def measure(
    shape: tuple[int, ...],
    dtype: str,
    device: torch.device,
    repetitions: int,
    layout: torch.memory_format = torch.contiguous_format,
) -> list[Row]:
    """Time every provider and pass at one size; they take turns, to bear a noisy machine."""
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
    for name, operator, differentiable in _providers(device):
        runs[name, "forward"] = partial(_forward, operator, f, w)
        if differentiable:
            runs[name, "backward"] = partial(_backward, operator(f, w), f, w, g)
            runs[name, "both"] = partial(_both, operator, f, w, g)
    peaks = {key: peak_mib(run, device) for key, run in runs.items()}
    times = _take_turns(runs, device, repetitions)
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


def _providers(device: torch.device) -> list[tuple[str, Operator, bool]]:
    """Return name, operator and whether it is differentiated here."""
    providers = [
        ("flowdeblur", spatially_variant_rnn, True),
        ("step loop", _four_directions(_step_loop), True),
    ]
    if device.type == "cuda":
        compiled = torch.compile(_four_directions(_associative_scan), dynamic=False)
        providers.append(("associative_scan, compiled", compiled, False))
        if importlib.util.find_spec("accelerated_scan"):
            providers.append(("accelerated-scan", _four_directions(_accelerated_scan), True))
    return providers


def _four_directions(line: Line) -> Operator:
    def operator(features: Tensor, weights: Tensor) -> Tensor:
        maps = zip(weights.chunk(4, dim=1), DIRECTIONS, strict=True)
        return torch.cat([line(features, w, dim, from_end) for w, (dim, from_end) in maps], dim=1)

    return operator


def _step_loop(f: Tensor, w: Tensor, dim: int, from_end: bool) -> Tensor:
    steps = list(zip(f.unbind(dim), w.unbind(dim), strict=True))
    h = torch.zeros_like(steps[0][0])
    states = []
    for f_t, w_t in reversed(steps) if from_end else steps:
        h = torch.lerp(f_t, h, w_t)
        states.append(h)
    return torch.stack(states[::-1] if from_end else states, dim)


def _associative_scan(
    f: Tensor, w: Tensor, dim: int, from_end: bool, mode: str = "pointwise"
) -> Tensor:
    from torch._higher_order_ops.associative_scan import associative_scan

    pairs = (w, (1 - w) * f)
    states: Tensor
    _, states = associative_scan(_compose, pairs, dim, reverse=from_end, combine_mode=mode)
    return states


def _compose(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return left[0] * right[0], left[1] * right[0] + right[1]


def _accelerated_scan(f: Tensor, w: Tensor, dim: int, from_end: bool) -> Tensor:
    from accelerated_scan.scalar import scan  # type: ignore[import-not-found]

    gates, inputs = (x.movedim(dim, 3) for x in (w, (1 - w) * f))
    if from_end:
        gates, inputs = gates.flip(3), inputs.flip(3)
    lines = scan(*(x.flatten(0, 1).contiguous() for x in (gates, inputs)))
    states: Tensor = lines.view(gates.shape)
    return (states.flip(3) if from_end else states).movedim(3, dim)


def _forward(operator: Operator, f: Tensor, w: Tensor) -> Tensor:
    with torch.no_grad():
        return operator(f, w)


def _backward(h: Tensor, f: Tensor, w: Tensor, g: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(h, (f, w), g, retain_graph=True)


def _both(operator: Operator, f: Tensor, w: Tensor, g: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(operator(f, w), (f, w), g)


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


def seconds_on_gpu(run: Callable[[], object]) -> tuple[float, float]:
    """Time on the device, from a cold level-2 cache (many sizes would fit in it), and to launch."""
    torch.empty(2**28, dtype=torch.uint8, device="cuda").zero_()
    start, end = (
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        for _ in range(2)
    )
    start.record()
    called = time.perf_counter()
    run()
    returned = time.perf_counter()
    end.record()
    end.synchronize()
    milliseconds: float = start.elapsed_time(end)
    return milliseconds / 1e3, returned - called


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
            told = f"{row.percent_of_copy:.0f} %, {row.median_us:.0f} us"
            groups.setdefault(title, []).append((label, row.percent_of_copy, told))
    return bars(f"Bandwidth in percent of a copy's. {header}", groups, full=100)


def _shape(text: str) -> tuple[int, ...]:
    sides = text.split("x")
    if len(sides) != 4 or not all(side.isdecimal() and int(side) for side in sides):
        raise UserError(f"--shapes {text}: write sizes BxCxHxW, such as 1x24x360x640")
    return tuple(int(side) for side in sides)
