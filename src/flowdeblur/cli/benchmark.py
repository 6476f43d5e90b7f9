"""``flowdeblur benchmark``: measure on the machine at hand."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flowdeblur.errors import UserError

_EPILOG = """\
examples:
  flowdeblur benchmark network
  flowdeblur benchmark network --models proposed bidirectional --size 384 640 \\
      --out benchmarks/results/network
  flowdeblur benchmark kernels --weights runs/<id>/weights.safetensors --out kernels
  flowdeblur benchmark data --workers 0 2 --model proposed --out benchmarks/results/data
  flowdeblur benchmark operator --help"""


def main(argv: Sequence[str]) -> int:
    """Run ``benchmark network``, ``operator``, ``kernels`` or ``data``."""
    parser = argparse.ArgumentParser(
        "flowdeblur benchmark", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(dest="what", required=True)
    network = what.add_parser("network", help="parameters, GFLOP, time and memory of every model")
    network.add_argument("--models", nargs="+", metavar="NAME", help="of conf/model; default: all")
    network.add_argument("--size", nargs=2, type=int, default=(768, 1280), metavar=("H", "W"))
    network.add_argument("--repetitions", type=int, default=11, metavar="N")
    network.add_argument("--device", default=None, help="default: a GPU if there is one")
    network.add_argument("--out", type=Path, help="write OUT.md and OUT.json")
    kernels = what.add_parser("kernels", help="blur kernels that a network implies, on scenes")
    kernels.add_argument("--weights", required=True, metavar="NAME|PATH")
    kernels.add_argument("--count", type=int, default=24, metavar="N", help="test scenes")
    kernels.add_argument("--out", type=Path, help="write OUT.md, OUT.json and OUT.png")
    data = what.add_parser("data", help="samples a second, packed and from pictures")
    data.add_argument("--workers", nargs="+", type=int, default=(0, 1, 2), metavar="N")
    data.add_argument("--seconds", type=float, default=3.0, metavar="S", help="for each number")
    data.add_argument("--repetitions", type=int, default=3, metavar="N")
    data.add_argument("--model", metavar="NAME", help="compare with a training step of this model")
    data.add_argument("--device", default=None, help="of the step; default: a GPU if there is one")
    data.add_argument("--folder", type=Path, help="for the frames, 600 MB; default: temporary")
    data.add_argument("--out", type=Path, help="write OUT.md and OUT.json")
    what.add_parser("operator", add_help=False, help="the spatially variant RNN alone")
    arguments, rest = parser.parse_known_args(argv)
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
        _network(arguments)
    return 0


def _network(arguments: argparse.Namespace) -> None:
    from hydra import compose, initialize_config_dir

    from flowdeblur.benchmarks.network import measure, to_markdown
    from flowdeblur.devices import find_device
    from flowdeblur.engine.configuration import config_dir, instantiate, nearest, plain
    from flowdeblur.files import write_text

    known = sorted(each.stem for each in (config_dir() / "model").glob("*.yaml"))
    models = arguments.models or known
    for name in models:
        if name not in known:
            raise UserError(f"--models {name}: no such model{nearest(name, known)}")
    device = find_device(arguments.device)
    rows = []
    for name in models:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            node = plain(compose("train", [f"model={name}", "run_dir=."]))["model"]
        rows.append(
            measure(
                name,
                instantiate(node, "model"),
                tuple(arguments.size),
                device,
                arguments.repetitions,
            )
        )
        print(f"{name}: {rows[-1].milliseconds:.0f} ms", flush=True)
    table = to_markdown(rows, tuple(arguments.size), device)
    print(f"\n{table}")
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        header = table.splitlines()[0]
        write_text(arguments.out.with_suffix(".md"), table)
        content = {"measured": header, "rows": [asdict(row) for row in rows]}
        write_text(arguments.out.with_suffix(".json"), json.dumps(content, indent=1) + "\n")


def _kernels(arguments: argparse.Namespace) -> None:
    from flowdeblur.explain.scenes import measure, to_markdown
    from flowdeblur.files import write_text
    from flowdeblur.scenes import Scenes
    from flowdeblur.video.images import write_image
    from flowdeblur.weights import load

    # Without noise and stillness, both of which would blunt a comparison of kernels.
    scenes = Scenes("test", arguments.count, still=0.0, noise=(0.0, 0.0))
    scores, picture = measure(load(arguments.weights), scenes)
    table = to_markdown(scores)
    print(f"\n{table}", end="")
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(arguments.out.with_suffix(".md"), table)
        content = [asdict(score) for score in scores]
        write_text(arguments.out.with_suffix(".json"), json.dumps(content, indent=1) + "\n")
        write_image(arguments.out.with_suffix(".png"), picture)
