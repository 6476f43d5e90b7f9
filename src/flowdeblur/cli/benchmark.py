"""``flowdeblur benchmark``: measure on this machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flowdeblur.cli import benchmark_network

_EPILOG = """\
examples:
  flowdeblur benchmark network
  flowdeblur benchmark network --models proposed nafnet --size 720 1280 \\
      --dtypes float32 bfloat16 --out runs/table3
  flowdeblur benchmark kernels --weights runs/ID/weights.safetensors --out kernels
  flowdeblur benchmark data --workers 0 2 --model proposed --out benchmarks/results/data
  flowdeblur benchmark operator --help"""


def main(argv: Sequence[str]) -> int:
    """Run ``benchmark network``, ``operator``, ``kernels`` or ``data``."""
    parser = argparse.ArgumentParser(
        "flowdeblur benchmark", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(dest="what", required=True)
    network = what.add_parser("network", help="parameters, GFLOP, time and memory of every model")
    benchmark_network.add_arguments(network)
    kernels = what.add_parser("kernels", help="blur kernels that a network implies, on scenes")
    kernels.add_argument("--weights", required=True, metavar="NAME|PATH")
    kernels.add_argument("--count", type=int, default=24, metavar="N", help="test scenes")
    kernels.add_argument("--out", type=Path, help="write OUT.md, OUT.json and OUT.png")
    data = what.add_parser("data", help="samples a second, packed and from images")
    data.add_argument("--workers", nargs="+", type=int, default=(0, 1, 2), metavar="N")
    data.add_argument("--seconds", type=float, default=3.0, metavar="S", help="for each number")
    data.add_argument("--repetitions", type=int, default=3, metavar="N")
    data.add_argument("--model", metavar="NAME", help="compare with a training step of this model")
    data.add_argument("--device", default=None, help="of the step; default: a GPU if there is one")
    data.add_argument("--folder", type=Path, help="for the frames, 600 MB; default: temporary")
    data.add_argument("--out", type=Path, help="write OUT.md and OUT.json")
    what.add_parser("operator", add_help=False, help="only the spatially variant RNN")
    arguments, rest = parser.parse_known_args(argv or ["--help"])
    if arguments.what == "operator":
        from flowdeblur.benchmarks.operator import main as operator

        return operator(rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if arguments.what == "kernels":
        _kernels(arguments)
    elif arguments.what == "data":
        from flowdeblur.cli.benchmark_data import run

        run(arguments)
    else:
        benchmark_network.run(arguments)
    return 0


def _kernels(arguments: argparse.Namespace) -> None:
    from flowdeblur.explain.scenes import compare_kernels, to_markdown
    from flowdeblur.files import write_text
    from flowdeblur.scenes import Scenes
    from flowdeblur.video.images import write_image
    from flowdeblur.weights import load

    # Without noise and stillness, both of which would blunt a comparison of kernels.
    scenes = Scenes("test", arguments.count, still=0.0, noise=(0.0, 0.0))
    scores, image = compare_kernels(load(arguments.weights), scenes)
    table = to_markdown(scores)
    print(f"\n{table}", end="")
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(arguments.out.with_suffix(".md"), table)
        content = [asdict(score) for score in scores]
        write_text(arguments.out.with_suffix(".json"), json.dumps(content, indent=1) + "\n")
        write_image(arguments.out.with_suffix(".png"), image)
