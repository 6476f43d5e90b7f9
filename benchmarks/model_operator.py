"""Estimate the time of the operator's kernels on an H100 from their machine code, without a GPU.

    python -m benchmarks.model_operator [--out benchmarks/results/operator-model.md]

A model, not a measurement. Programs enter multiprocessors in launch order, as many as registers
allow, and pass through phases: loads of a fixed latency, then instructions. All programs share
bandwidth, instruction issue, shuffles and special functions. Features that several programs of a
plane read count once, because later reads come from the level-2 cache.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmarks.absent_gpu import LAYOUTS, compile_passes, cuda
from benchmarks.compile_operator import SHAPES, TYPES, disassemble, resources
from triton.compiler import CompiledKernel

# An H100: bytes a second of a copy, clock, multiprocessors, and for each of these instructions,
# shuffles and special functions of a warp in a clock.
COPY, CLOCK, UNITS = 3.0e12, 1.7e9, 132
ISSUE, SHUFFLE, SPECIAL = 4 * 0.85, 0.9, 0.45
LATENCY, CYCLES, LAUNCH = 0.65e-6, 2.0, 2e-6  # of loads; an instruction that waits for another
STEP = 0.1e-6


@dataclass(frozen=True)
class Work:
    """Programs that do the same.

    Attributes:
        programs: their number.
        phases: rounds of loads and computation, one after the other.
        bytes: moved to and from memory in a phase.
        code: instructions of a warp in a phase: "all", "SHFL" and "MUFU".
        ahead: whether loads are issued a phase ahead.
    """

    programs: float
    phases: int
    bytes: float
    code: Counter[str]
    ahead: bool = False

    def seconds(self) -> float:
        """Time of a program that shares nothing."""
        computing = self.code["all"] * CYCLES / CLOCK
        if self.ahead:
            return LATENCY + computing + (self.phases - 1) * max(LATENCY, computing)
        return self.phases * (LATENCY + computing)


def simulate(works: list[Work], registers: int, warps: int) -> float:
    """Return the seconds of a launch whose programs start in the order of ``works``."""
    of_warp = -(-registers // 8) * 8 * 32
    free = UNITS * min(65536 // (of_warp * warps), 64 // warps, 32)
    waiting = [[work.programs, work] for work in works]
    running: list[list] = []
    now = 0.0
    while waiting or running:
        while free > 0 and waiting:
            count = min(free, waiting[0][0])
            running.append([count, waiting[0][1].seconds(), waiting[0][1]])
            free -= count
            waiting[0][0] -= count
            if waiting[0][0] <= 0:
                waiting.pop(0)
        rates: Counter[str] = Counter()
        for count, _, work in running:
            rate = count * work.phases / work.seconds()
            rates["bytes"] += rate * work.bytes
            for name, number in work.code.items():
                rates[name] += rate * warps * number
        limits = {
            "bytes": COPY,
            "all": UNITS * CLOCK * ISSUE,
            "SHFL": UNITS * CLOCK * SHUFFLE,
            "MUFU": UNITS * CLOCK * SPECIAL,
        }
        slowed = min(1.0, *(limits[name] / max(rates[name], 1.0) for name in limits))
        for program in running:
            program[1] -= STEP * slowed
        free += sum(count for count, left, _ in running if left <= 0)
        running = [program for program in running if program[1] > 0]
        now += STEP
    return now


def bodies(kernel: CompiledKernel) -> tuple[list[Counter[str]], Counter[str]]:
    """Count the instructions of the kernel's loops, and of all of its code."""
    found = re.findall(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?(\w+)\S*([^;]*);",
                       disassemble(kernel), re.MULTILINE)  # fmt: skip
    code = [(int(address, 16), name, operands) for address, name, operands in found]
    place = {address: index for index, (address, *_) in enumerate(code)}
    loops = []
    for end, (address, name, operands) in enumerate(code):
        target = re.search(r"0x([0-9a-f]+)", operands)
        if name == "BRA" and target and int(target[1], 16) < address:
            body = code[place[int(target[1], 16)] : end + 1]
            if len(body) >= 20:
                loops.append(_count(body))
    return loops, _count(code)


def _count(code: list[tuple[int, str, str]]) -> Counter[str]:
    names = Counter(name for _, name, _ in code)
    return Counter({"all": len(code), "SHFL": names["SHFL"], "MUFU": names["MUFU"]})


def _mean(counters: list[Counter[str]], share: float = 1.0) -> Counter[str]:
    total = sum(counters, Counter())
    return Counter({name: share * number / len(counters) for name, number in total.items()})


def _cdiv(a: int, b: int) -> int:
    return -(-a // b)


def works(kernel: CompiledKernel, shape: tuple[int, ...], itemsize: int) -> list[Work]:
    """Describe a launch: its programs in order, and what each moves and computes."""
    batch, channels, height, width = shape
    names = kernel.src.fn.arg_names
    c = {names[place]: value for (place,), value in kernel.src.constants.items()}
    loops, everything = bodies(kernel)
    unit = float(batch * channels * height * width * itemsize)
    sums = unit * (4 if itemsize < 8 else 8) / itemsize  # a sum has the type of states
    name = kernel.metadata.name
    if name == "backward_strips":
        programs = batch * channels * _cdiv(width, c["COLUMNS"])
        phases = 4 if c["ROWS_TOO"] else 2
        moved = unit * (1 + 3 * phases) + (unit if c["ROWS_TOO"] else sums)
        code = _mean([everything], 1 / phases)
        return [Work(programs, phases, moved / programs / phases, code, ahead=True)]
    if name == "backward_rows":
        programs = _cdiv(batch * channels * height, c["ROWS"])
        blocks = c["BLOCKS"] or _cdiv(width, c["SCAN"])
        # A saved state is a sector of 32 bytes for each block but the first.
        saved = 2 * (blocks - 1) * 32 * batch * channels * height
        moved = 8 * unit + c["PARTS"] * sums + saved
        code = _mean([everything], 1 / (2 * blocks)) if c["BLOCKS"] else _mean(loops)
        return [Work(programs, 2 * blocks, moved / programs / 2 / blocks, code)]
    walk = _mean([loop for loop in loops if not loop["SHFL"]])
    if name == "forward_contiguous":
        planes = c["LANES"] // c["COLUMNS"]
        groups = _cdiv(batch * channels, planes)
        programs = 2 * _cdiv(planes * height, c["ROWS"])
        blocks = _cdiv(width, c["SCAN"])
        code = _mean([loop for loop in loops if loop["SHFL"]])
        code += Counter({"all": 160 / blocks})  # where its rows are
        moved = 4.5 * unit / groups  # two directions of w and h, half of f
        scans = Work(programs, blocks, moved / programs / blocks, code)
        programs, blocks = 2 * _cdiv(width, c["COLUMNS"]), _cdiv(height, c["STEPS"])
        walks = Work(programs, blocks, moved / programs / blocks, walk)
        if c["COLUMNS_FIRST"]:
            return [_times(walks, groups), _times(scans, groups)]
        runs = min(groups, 60)  # fewer, larger groups cost less time to simulate
        return [_times(x, groups / runs) for _ in range(runs) for x in (scans, walks)]
    saved = 2 * unit / c["STEPS"]
    if name == "backward_columns":
        groups = _cdiv(batch * channels, c["LANES"] // c["COLUMNS"])
        programs = 2 * groups * _cdiv(width, c["COLUMNS"])
        columns = Work(programs, _cdiv(height, c["STEPS"]), 0.0, walk)
        return [_moving(columns, 8 * unit + saved + 2 * sums)]
    at_once, blocks = c["LANES"] // c["CHANNELS"], _cdiv(channels, c["CHANNELS"])
    rows = Work(batch * _cdiv(height, at_once) * blocks, _cdiv(width, c["STEPS"]), 0.0, walk)
    columns = Work(batch * _cdiv(width, at_once) * blocks, _cdiv(height, c["STEPS"]), 0.0, walk)
    if name == "forward_channels_last":
        return [_moving(_times(work, 2), 4.5 * unit) for work in (rows, columns)]
    if name == "backward_channels_last_columns":
        return [_moving(_times(columns, 2), 8 * unit + saved + 2 * sums)]
    twice = Work(rows.programs, 2 * rows.phases, 0.0, walk)
    return [_moving(twice, 9 * unit + saved + 4 * sums)]


def _times(work: Work, count: float) -> Work:
    return Work(work.programs * count, work.phases, work.bytes, work.code, work.ahead)


def _moving(work: Work, moved: float) -> Work:
    return Work(work.programs, work.phases, moved / work.programs / work.phases, work.code)


def main() -> None:
    """Print or write a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shapes", nargs="+", default=["x".join(map(str, s)) for s in SHAPES])
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    arguments = parser.parse_args()
    lines = [
        "A model of an H100, no measurement (`benchmarks/model_operator.py`), Triton for sm_90.",
        "",
        "| map | layout | type | pass "
        "| launches: registers, instructions, warps on a multiprocessor "
        "| units moved | least | us | % of copy |",
        "|---|---|---|---|---|---:|---:|---:|---:|",
    ]
    print("\n".join(lines), flush=True)
    for shape in [tuple(map(int, text.split("x"))) for text in arguments.shapes]:
        for layout in arguments.layouts:
            for dtype, kind in TYPES.items():
                for line in _rows(shape, layout, dtype, kind):
                    lines.append(line)
                    print(line, flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", "utf-8")


def _rows(shape: tuple[int, ...], layout: str, dtype: str, kind: torch.dtype) -> list[str]:
    kernels = compile_passes(shape, kind, LAYOUTS[layout], cuda(90))
    unit = torch.Size(shape).numel() * kind.itemsize
    lines = []
    for what, launched, least in (("forward", kernels[:1], 9), ("backward", kernels[1:], 14)):
        seconds, units, needs = 0.0, 0.0, []
        for kernel in launched:
            use, warps = resources(kernel), kernel.metadata.num_warps
            work = works(kernel, shape, kind.itemsize)
            seconds += LAUNCH + simulate(work, use.registers, warps)
            units += sum(x.programs * x.phases * x.bytes for x in work) / unit
            fit = warps * min(65536 // (-(-use.registers // 8) * 256 * warps), 64 // warps, 32)
            needs.append(f"{use.registers}, {use.instructions}, {fit}")
        share = 100 * least * unit / COPY / seconds
        lines.append(
            f"| {'x'.join(map(str, shape))} | {layout} | {dtype} | {what} | {'; '.join(needs)} "
            f"| {units:.2f} | {least} | {1e6 * seconds:.0f} | {share:.0f} |"
        )
    return lines


if __name__ == "__main__":
    main()
