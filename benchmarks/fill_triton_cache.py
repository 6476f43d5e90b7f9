"""Compile the operator's kernels into Triton's cache on a machine without their GPU.

    TRITON_CACHE_DIR=cache python -m benchmarks.fill_triton_cache --arch 90 [--tune]

With the directory copied to the GPU's machine, and the same versions of Triton and of this package
there, nothing is left to compile.
"""

from __future__ import annotations

import argparse
from unittest import mock

from benchmarks.absent_gpu import LAYOUTS, compile_passes, cuda

from flowdeblur.benchmarks import tune
from flowdeblur.benchmarks.operator import DTYPES, SHAPES
from flowdeblur.ops import _cuda
from flowdeblur.ops._tiles import Table


def main() -> None:
    """Compile what the benchmark launches, and with ``--tune`` what the tuner does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", type=int, default=90, help="compute capability, 90 for an H100")
    parser.add_argument("--tune", action="store_true", help="candidates of --tune, too: minutes")
    arguments = parser.parse_args()
    target = cuda(arguments.arch)
    for shape in SHAPES["cuda"]:
        for dtype in ("float32", "bfloat16"):
            for layout in LAYOUTS.values():
                compile_passes(shape, DTYPES[dtype], layout, target)
        print("x".join(map(str, shape)), flush=True)
    if arguments.tune:
        for tiles in tune.CANDIDATES:
            table = Table(forward=tiles, forward_few_lines=tiles, backward=tiles)
            with mock.patch.object(_cuda, "table", return_value=table):
                for shape in {shape for shapes in tune.SHAPES.values() for shape in shapes}:
                    for dtype in tune.DTYPES:
                        for layout in tune.LAYOUTS:
                            compile_passes(shape, dtype, layout, target)
            print(tiles, flush=True)


if __name__ == "__main__":
    main()
