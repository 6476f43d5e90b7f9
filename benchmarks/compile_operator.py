"""Compile the operator's CUDA kernels without a GPU and print what the compiler made of them.

    python benchmarks/compile_operator.py [--arch 90]

One line for each launch of a forward and a backward pass: registers a thread, bytes spilled, shared
memory, the widest global load and store in bits, and machine instructions in all.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from flowdeblur.ops import _cuda

SHAPES = [(20, 24, 128, 128), (20, 96, 32, 32), (1, 24, 360, 640), (1, 24, 640, 270)]
NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16"}


def launches(shape: tuple[int, ...], dtype: torch.dtype, channels_last: bool, tanh: bool):
    """Return (kernel, positional arguments, constants and options) of every launch of one call."""
    batch, channels, height, width = shape
    layout = torch.channels_last if channels_last else torch.contiguous_format
    with torch._subclasses.FakeTensorMode():
        f = torch.empty(shape, dtype=dtype).contiguous(memory_format=layout)
        w = torch.empty((batch, 4 * channels, height, width), dtype=dtype)
        w = w.contiguous(memory_format=layout)
        calls = []

        def record(kernel, *args, grid, warmup, **constants):
            calls.append((kernel, args, constants))

        with mock.patch.object(JITFunction, "run", record):
            _cuda.forward(f, w, tanh, w)
            _cuda.backward(f, w, w, w, tanh, f, w)
    return calls


def compile_launch(kernel, args, constants, arch: int):
    """Compile one launch as the just-in-time compiler would, for pointers aligned to 16 bytes."""
    names = [name for name in kernel.arg_names if name not in constants]
    signature = dict.fromkeys(constants.keys() & set(kernel.arg_names), "constexpr")
    attributes = {}
    for name, value in zip(names, args, strict=True):
        if isinstance(value, torch.Tensor):
            signature[name] = f"*{NAMES[value.dtype]}"
            attributes[(kernel.arg_names.index(name),)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "i32"
    source = ASTSource(
        fn=kernel,
        signature={name: signature[name] for name in kernel.arg_names},
        constexprs={name: constants[name] for name in constants if name in kernel.arg_names},
        attrs=attributes,
    )
    options = {name: constants[name] for name in ("num_warps", "enable_fp_fusion")}
    return triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)


def describe(compiled, arch: int) -> list[str]:
    """Return registers, spilled bytes, shared memory, load and store width, instructions."""
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(compiled.asm["cubin"])
        dump = subprocess.run(
            [tools / "cuobjdump", "-res-usage", "-sass", cubin],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    registers = re.search(r"REG:(\d+)", dump)[1]
    spilled = re.search(r"LOCAL:(\d+)", dump)[1]
    stack = re.search(r"STACK:(\d+)", dump)[1]
    widths = [
        max((int(bits) for bits in re.findall(rf"{op}\.E\S*?\.(64|128)\b", dump)), default=32)
        for op in ("LDG", "STG")
    ]
    instructions = len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/", dump, re.MULTILINE))
    shuffles = dump.count("SHFL")
    shared = str(compiled.metadata.shared)
    return [
        registers,
        f"{spilled}+{stack}",
        shared,
        *map(str, widths),
        str(shuffles),
        str(instructions),
    ]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", type=int, default=90, help="compute capability, 90 for H100")
    arch = parser.parse_args().arch
    header = [
        "map", "type", "kernel", "warps", "constants", "registers", "spill", "shared", "load bits",
        "store bits", "shuffles", "instructions",
    ]  # fmt: skip
    print("| " + " | ".join(header) + " |")
    print("|---" * len(header) + "|")
    for shape in SHAPES:
        for dtype, name in NAMES.items():
            for channels_last in (False, True):
                for kernel, args, constants in launches(shape, dtype, channels_last, True):
                    tiles = {
                        key: value for key, value in constants.items()
                        if key in ("ALIGN", "ROWS", "SCAN", "LANES", "COLUMNS", "CHANNELS", "STEPS")
                    }  # fmt: skip
                    row = [
                        "x".join(map(str, shape)), name, kernel.__name__.strip("_"),
                        str(constants["num_warps"]), " ".join(f"{k}={v}" for k, v in tiles.items()),
                        *describe(compile_launch(kernel, args, constants, arch), arch),
                    ]  # fmt: skip
                    print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
