"""Compile the operator's CUDA kernels without a GPU and print what the compiler made of them.

    python -m benchmarks.compile_operator [--arch 90]

One line for each launch of a forward and a backward pass: registers of a thread, bytes spilled to
the stack, bytes of shared memory, the widest load and store of global memory in bits, shuffles and
machine instructions in all.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

import torch
import triton
from benchmarks.absent_gpu import LAYOUTS, compile_passes, cuda
from triton.compiler import CompiledKernel

SHAPES = [
    (20, 24, 128, 128), (20, 48, 64, 64), (20, 96, 32, 32),
    (1, 24, 384, 640), (1, 48, 192, 320), (1, 96, 96, 160),
]  # fmt: skip
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TILES = (
    "ALIGN", "ROWS", "SCAN", "BLOCKS", "STRETCHES", "STRETCH", "LANES", "COLUMNS", "CHANNELS",
    "STEPS",
)  # fmt: skip


@dataclass(frozen=True)
class Resources:
    """What a compiled kernel needs.

    Attributes:
        registers: of a thread.
        spilled: bytes of the stack of a thread.
        shared: bytes of shared memory.
        load_bits: width of the widest load.
        store_bits: width of the widest store.
        shuffles: instructions that move values between threads.
        instructions: machine instructions.
    """

    registers: int
    spilled: int
    shared: int
    load_bits: int
    store_bits: int
    shuffles: int
    instructions: int


def disassemble(compiled: CompiledKernel) -> str:
    """Return resources and machine code as cuobjdump prints them."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(compiled.asm["cubin"])
        command = [tool, "-res-usage", "-sass", cubin]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def resources(compiled: CompiledKernel) -> Resources:
    """Read the resources of a compiled kernel from its machine code."""
    dump = disassemble(compiled)
    use = dict(re.findall(r"(REG|STACK):(\d+)", dump))
    widths = [
        max((int(bits) for bits in re.findall(rf"{op}\.E\S*?\.(64|128)\b", dump)), default=32)
        for op in ("LDG", "STG")
    ]
    return Resources(
        int(use["REG"]),
        int(use["STACK"]),
        compiled.metadata.shared,
        *widths,
        shuffles=len(re.findall(r"\bSHFL\b", dump)),
        instructions=len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/", dump, re.MULTILINE)),
    )


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", type=int, default=90, help="compute capability, 90 for an H100")
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    arguments = parser.parse_args()
    arch = arguments.arch
    columns = [field.name.replace("_", " ") for field in fields(Resources)]
    header = ["map", "layout", "type", "kernel", "tiles", "warps", *columns]
    print(f"Triton {triton.__version__}, sm_{arch}, with tanh.\n")
    print(f"| {' | '.join(header)} |\n{'|---' * len(header)}|")
    for shape in SHAPES:
        for dtype in TYPES:
            for layout in arguments.layouts:
                passes = compile_passes(shape, TYPES[dtype], LAYOUTS[layout], cuda(arch))
                for kernel in passes:
                    constants = {
                        kernel.src.fn.arg_names[place]: value
                        for (place,), value in kernel.src.constants.items()
                    }
                    tiles = " ".join(f"{k}={constants[k]}" for k in TILES if k in constants)
                    use = [str(value) for value in vars(resources(kernel)).values()]
                    row = ["x".join(map(str, shape)), layout, dtype, kernel.metadata.name, tiles]
                    print(
                        f"| {' | '.join([*row, str(kernel.metadata.num_warps), *use])} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
