"""Compile the operator's CUDA kernels without a GPU and print what the compiler made of them.

    python benchmarks/compile_operator.py [--arch 90]

One line for each launch of a forward and a backward pass: registers of a thread, bytes spilled to
local memory, bytes of shared memory, the widest load and store of global memory in bits, shuffles
and machine instructions in all.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, CompiledKernel
from triton.runtime.jit import JITFunction

from flowdeblur.ops import _cuda

SHAPES = [(20, 24, 128, 128), (20, 96, 32, 32), (1, 24, 360, 640), (1, 24, 640, 270)]
NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16"}
LAYOUTS = {torch.contiguous_format: "contiguous", torch.channels_last: "channels_last"}
TILES = ("ALIGN", "ROWS", "SCAN", "LANES", "COLUMNS", "CHANNELS", "STEPS")
HEADER = (
    "map", "layout", "type", "kernel", "tiles", "warps", "registers", "spilled", "shared",
    "load bits", "store bits", "shuffles", "instructions",
)  # fmt: skip

Launch = tuple[JITFunction, tuple[Any, ...], dict[str, Any]]


def launches(
    shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format
) -> list[Launch]:
    """Return kernel, arguments and constants of every launch of a forward and a backward pass."""
    batch, channels, height, width = shape
    calls: list[Launch] = []

    def record(kernel: JITFunction, *args: Any, grid: Any, warmup: bool, **constants: Any) -> None:
        calls.append((kernel, args, constants))

    with torch._subclasses.FakeTensorMode(), mock.patch.object(JITFunction, "run", record):
        f = torch.empty(shape, dtype=dtype).contiguous(memory_format=layout)
        w = torch.empty((batch, 4 * channels, height, width), dtype=dtype)
        w = w.contiguous(memory_format=layout)
        _cuda.forward(f, w, True, w)
        _cuda.backward(f, w, w, w, True, f, w)
    return calls


def compile_launch(launch: Launch, arch: int) -> CompiledKernel:
    """Compile a launch as the just-in-time compiler would, for pointers aligned to 16 bytes."""
    kernel, args, constants = launch
    values = dict(
        zip([name for name in kernel.arg_names if name not in constants], args, strict=True)
    )
    signature, attributes = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if isinstance(values.get(name), torch.Tensor):
            signature[name] = f"*{NAMES[values[name].dtype]}"
            attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "constexpr" if name in constants else "i32"
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={name: constants[name] for name in kernel.arg_names if name in constants},
        attrs=attributes,
    )
    options = {name: constants[name] for name in ("num_warps", "enable_fp_fusion")}
    return triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)


def describe(compiled: CompiledKernel) -> list[str]:
    """Return what HEADER lists from the registers on."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(compiled.asm["cubin"])
        command = [tool, "-res-usage", "-sass", cubin]
        dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    use = dict(re.findall(r"(REG|LOCAL):(\d+)", dump))
    widths = [
        max((int(bits) for bits in re.findall(rf"{op}\.E\S*?\.(64|128)\b", dump)), default=32)
        for op in ("LDG", "STG")
    ]
    instructions = len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/", dump, re.MULTILINE))
    numbers = [compiled.metadata.shared, *widths, dump.count("SHFL"), instructions]
    return [use["REG"], use["LOCAL"], *map(str, numbers)]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", type=int, default=90, help="compute capability, 90 for an H100")
    arch = parser.parse_args().arch
    print(f"Triton {triton.__version__}, sm_{arch}, with tanh.\n")
    print(f"| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|")
    for shape in SHAPES:
        for dtype, name in NAMES.items():
            for layout in LAYOUTS:
                for launch in launches(shape, dtype, layout):
                    kernel, _, constants = launch
                    tiles = " ".join(f"{k}={constants[k]}" for k in TILES if k in constants)
                    row = [
                        "x".join(map(str, shape)), LAYOUTS[layout], name,
                        kernel.__name__, tiles, str(constants["num_warps"]),
                        *describe(compile_launch(launch, arch)),
                    ]  # fmt: skip
                    print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
