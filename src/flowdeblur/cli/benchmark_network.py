"""``flowdeblur benchmark network``: Table III on this machine."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flowdeblur.errors import UserError

if TYPE_CHECKING:
    from flowdeblur.benchmarks.network import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--models", nargs="+", metavar="NAME", help="of conf/model; default: all")
    parser.add_argument("--size", nargs=2, type=int, default=(768, 1280), metavar=("H", "W"))
    parser.add_argument("--repetitions", type=int, default=11, metavar="N")
    parser.add_argument(
        "--dtypes",
        nargs="+",
        choices=("float32", "bfloat16", "float16"),
        default=("float32",),
        help="float32 goes first",
    )
    parser.add_argument("--device", default=None, help="default: a GPU if there is one")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="of one thread on a CPU instead of the wall clock's: bears a busy machine",
    )
    parser.add_argument("--note", default="", help="added to the description of the machine")
    parser.add_argument("--out", type=Path, help="write OUT.md, .json, .csv, .tex and .svg")


def run(arguments: argparse.Namespace) -> None:
    """Measure, print and write.

    Raises:
        UserError: a model is unknown, or float32 is missing.
    """
    import torch

    from flowdeblur.benchmarks import table3
    from flowdeblur.benchmarks.network import measure
    from flowdeblur.cli.overrides import compose_configuration
    from flowdeblur.devices import describe_device, find_device
    from flowdeblur.engine.configuration import config_dir, instantiate, plain
    from flowdeblur.extras import import_extra

    models = arguments.models or sorted(
        each.stem for each in (config_dir() / "model").glob("*.yaml")
    )
    if arguments.out is not None:
        import_extra("matplotlib", "report")  # before anything is measured
    dtypes = tuple(dict.fromkeys(arguments.dtypes))
    if "float32" not in dtypes:
        raise UserError("--dtypes: float32 is missing; it is what the others are compared with")
    networks = {}
    for name in models:
        config = compose_configuration("train", [f"model={name}", "run_dir=."])
        networks[name] = instantiate(plain(config)["model"], "model")
    size, device = tuple(arguments.size), find_device(arguments.device)
    threads = torch.get_num_threads()
    if arguments.processor_time:
        if device.type != "cpu":
            raise UserError("--processor-time: is for CPUs; add --device cpu")
        torch.set_num_threads(1)
    machine = describe_device(device)
    try:
        rows = measure(
            networks,
            size,
            device,
            arguments.repetitions,
            dtypes=dtypes,
            clock=time.process_time if arguments.processor_time else time.perf_counter,
            progress=lambda text: print(text, flush=True),
        )
    finally:
        torch.set_num_threads(threads)
    note = f"{machine}. {arguments.note}" if arguments.note else machine
    note += ". " + _repetitions(arguments.repetitions)
    if arguments.processor_time:
        note += "; processor time"
    table = table3.to_markdown(rows, size, note)
    print(f"\n{table}")
    if arguments.out is not None:
        _write(arguments.out, rows, table, machine)


def _repetitions(count: int) -> str:
    if not count:
        return "First runs, which allocate their memory"
    return f"Medians of {count} repetition{'s' if count > 1 else ''}, networks and types in turn"


def _write(out: Path, rows: list[Row], table: str, machine: str) -> None:
    from dataclasses import asdict

    from flowdeblur.benchmarks import table3
    from flowdeblur.files import write_text

    out.parent.mkdir(parents=True, exist_ok=True)
    content = {"measured": table.splitlines()[0], "rows": [asdict(row) for row in rows]}
    write_text(out.with_suffix(".md"), table)
    write_text(out.with_suffix(".json"), json.dumps(content, indent=1) + "\n")
    write_text(out.with_suffix(".csv"), table3.to_csv(rows))
    write_text(out.with_suffix(".tex"), table3.to_latex(rows))
    write_text(out.with_suffix(".svg"), table3.to_svg(rows, machine))
