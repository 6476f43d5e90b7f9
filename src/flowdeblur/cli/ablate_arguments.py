"""Command line of ``flowdeblur ablate``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.arguments import command_parser, count
from flowdeblur.errors import UserError

_EPILOG = """\
examples:
  flowdeblur ablate run sweeps/table4.yaml                     all rows of Table IV, three seeds
  flowdeblur ablate run sweeps/table4.yaml seed=0 trainer.max_steps=600 --jobs 2
  flowdeblur ablate run sweeps/table4.yaml model=small         the rows of the small network
  flowdeblur ablate run sweeps/table4.yaml budget_minutes=10   equal training time for each run
  flowdeblur ablate run sweeps/table4.yaml --shard 1/4         the first of four machines
  flowdeblur ablate run sweeps/table4.yaml --slurm --sbatch time=12:00:00 trainer.max_steps=100000
  flowdeblur ablate status sweeps/table4.yaml
  flowdeblur ablate table sweeps/table4.yaml --out table.html --out table.tex

KEY=VALUE replaces an entry of the file, in all three commands; KEY=A,B adds both to the grid.
The same command resumes interrupted runs and skips finished ones.
Exit status: 0 when every run is done, 1 when one failed or was stopped, 2 for a mistake."""


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse a command line.

    Returns:
        The options, and the overrides.

    Raises:
        UserError: an option does not exist.
    """
    arguments, rest = _parser().parse_known_args(argv)
    for token in rest:
        if token.startswith("-") or ("=" not in token and not token.startswith("~")):
            raise UserError(f"{token}: no such option; overrides are written KEY=VALUE")
    return arguments, rest


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "ablate",
        "Run the sweep of a file (W&B's format) here or on a cluster, and tabulate it.",
        _EPILOG,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run, status, table = (
        commands.add_parser(
            name, help=text, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        for name, text in (
            ("run", "run what is not done yet"),
            ("status", "show which runs are done, running, failed"),
            ("table", "print the table, or write it to files"),
        )
    )
    for each in (run, status, table):
        each.add_argument("sweep", metavar="SWEEP", type=Path, help="a sweep file")
        each.add_argument(
            "--runs", type=Path, metavar="DIR", help="folder of the runs (default: runs/SWEEP)"
        )
        each.add_argument(
            "--config-dir", type=Path, metavar="DIR", help="folder with your own configurations"
        )
        each.usage = f"flowdeblur ablate {each.prog.split()[-1]} SWEEP [OPTION ...] [KEY=VALUE ...]"
    _add_run_options(run)
    _add_table_options(table)
    return parser


def _add_run_options(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--jobs", type=count, metavar="N", help="runs at a time (default: one, or one per GPU)"
    )
    run.add_argument("--shard", metavar="I/N", help="only the I-th of N parts, from 1")
    run.add_argument("--dry-run", action="store_true", help="print the command lines only")
    run.add_argument("--slurm", action="store_true", help="submit an array of jobs by sbatch")
    run.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="option of the array, such as partition=gpu; can be repeated",
    )
    run.add_argument(
        "--launcher", default="", metavar="COMMAND", help="words before each run, such as srun"
    )


def _add_table_options(table: argparse.ArgumentParser) -> None:
    table.add_argument("--format", choices=("markdown", "latex", "csv", "html"), default="markdown")
    table.add_argument(
        "--out",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write FILE (.md, .tex, .csv, .html) instead of printing; can be repeated",
    )
    table.add_argument(
        "--columns", metavar="KEY,...", help="columns to show, such as psnr,ssim,difference"
    )
    table.add_argument(
        "--reference", metavar="ROW", help="row that others are compared with (default: ours)"
    )
    table.add_argument(
        "--published", type=Path, metavar="FILE", help="YAML file of rows with published numbers"
    )
    table.add_argument(
        "--predictions",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="score the frames of another program, DIR/CLIP/FRAME.png, as a row; can be repeated",
    )
    table.add_argument("--wandb", metavar="PROJECT", help="also write it as a table of W&B")
