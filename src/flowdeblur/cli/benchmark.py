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
  flowdeblur benchmark operator --help"""


def main(argv: Sequence[str]) -> int:
    """Run ``benchmark network`` or ``benchmark operator``."""
    parser = argparse.ArgumentParser(
        "flowdeblur benchmark", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(dest="what", required=True)
    network = what.add_parser("network", help="parameters, GFLOP, time and memory of every model")
    network.add_argument("--models", nargs="+", metavar="NAME", help="of conf/model; default: all")
    network.add_argument("--size", nargs=2, type=int, default=(768, 1280), metavar=("H", "W"))
    network.add_argument("--repetitions", type=int, default=5, metavar="N")
    network.add_argument("--device", default=None, help="default: a GPU if there is one")
    network.add_argument("--out", type=Path, help="write OUT.md and OUT.json")
    what.add_parser("operator", add_help=False, help="the spatially variant RNN alone")
    arguments, rest = parser.parse_known_args(argv)
    if arguments.what == "operator":
        from flowdeblur.benchmarks.operator import main as operator

        return operator(rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    _network(arguments)
    return 0


def _network(arguments: argparse.Namespace) -> None:
    import torch
    from hydra import compose, initialize_config_dir

    from flowdeblur.benchmarks.network import measure, to_markdown
    from flowdeblur.engine.configuration import config_dir, instantiate, nearest, plain
    from flowdeblur.files import write_text

    known = sorted(each.stem for each in (config_dir() / "model").glob("*.yaml"))
    models = arguments.models or known
    for name in models:
        if name not in known:
            raise UserError(f"--models {name}: no such model{nearest(name, known)}")
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
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
