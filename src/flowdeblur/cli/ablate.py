"""``flowdeblur ablate``: run a sweep, see how far it is, and tabulate what came out."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowdeblur.errors import RuntimeFailureError, UserError

if TYPE_CHECKING:  # imported in the functions instead, so that --help is quick
    from flowdeblur.ablation.jobs import Job, State
    from flowdeblur.ablation.runner import Slot
    from flowdeblur.ablation.sweep import Point, Sweep

_EPILOG = """\
examples:
  flowdeblur ablate run sweeps/table4.yaml                     all rows of Table IV, three seeds
  flowdeblur ablate run sweeps/table4.yaml seed=0 trainer.max_steps=600 --jobs 2
  flowdeblur ablate run sweeps/table4.yaml --shard 1/4         the first of four machines
  flowdeblur ablate run sweeps/table4.yaml --slurm --sbatch time=12:00:00 trainer.max_steps=100000
  flowdeblur ablate status sweeps/table4.yaml
  flowdeblur ablate table sweeps/table4.yaml --out table.html --out table.tex

KEY=VALUE replaces what the file says, in all three alike; KEY=A,B makes both part of the grid.
A run that was cut short goes on when the command is given again; one that is done is left alone.
Exit status: 0 when every run is done, 1 when one failed or was stopped, 2 for a mistake."""


def main(argv: Sequence[str]) -> int:
    """Run ``ablate run``, ``ablate status`` or ``ablate table``."""
    arguments, rest = _parser().parse_known_args(argv)
    for token in rest:
        if token.startswith("-") or ("=" not in token and not token.startswith("~")):
            raise UserError(f"{token}: no such option; overrides are written KEY=VALUE")
    from flowdeblur.ablation.sweep import read_sweep

    sweep = read_sweep(arguments.sweep).with_overrides(rest)
    runs = arguments.runs or Path("runs") / sweep.name
    if arguments.what == "run":
        return _run(sweep, runs, arguments, rest)
    jobs = _known_jobs(sweep, runs)
    if arguments.what == "status":
        return _status(sweep, jobs)
    return _table(sweep, jobs, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "flowdeblur ablate",
        description="Run the sweep of a file (W&B's format) here or on a cluster, and tabulate it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_subparsers(dest="what", required=True)
    run, status, table = (
        what.add_parser(
            name,
            help=text,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, text in (
            ("run", "run what is not done yet"),
            ("status", "tell which runs are done, running, failed"),
            ("table", "print the table, or write it to files"),
        )
    )
    for each in (run, status, table):
        each.add_argument("sweep", metavar="SWEEP", type=Path, help="a sweep file")
        each.add_argument(
            "--runs", type=Path, metavar="DIR", help="where the runs lie (default: runs/SWEEP)"
        )
        each.usage = f"flowdeblur ablate {each.prog.split()[-1]} SWEEP [OPTION ...] [KEY=VALUE ...]"
    run.add_argument(
        "--jobs", type=_count, metavar="N", help="runs at a time (default: one, or one a GPU)"
    )
    run.add_argument("--shard", metavar="I/N", help="only the I-th of N parts, from 1")
    run.add_argument("--dry-run", action="store_true", help="print what would be started")
    run.add_argument("--slurm", action="store_true", help="submit an array of jobs by sbatch")
    run.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="of the array, as partition=gpu; can be repeated",
    )
    run.add_argument(
        "--launcher", default="", metavar="COMMAND", help="comes before each run's, as srun"
    )
    table.add_argument("--format", choices=("markdown", "latex", "csv", "html"), default="markdown")
    table.add_argument(
        "--out",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write FILE (.md, .tex, .csv, .html) instead of printing; can be repeated",
    )
    table.add_argument("--wandb", metavar="PROJECT", help="also make it a table in W&B")
    table.add_argument(
        "--reference", metavar="ROW", help="row that others are compared with (default: ours)"
    )
    return parser


def _run(sweep: Sweep, runs: Path, arguments: argparse.Namespace, overrides: Sequence[str]) -> int:
    if sweep.method == "bayes":
        return _search(sweep, runs, arguments)
    from flowdeblur.ablation.jobs import share
    from flowdeblur.cli.planning import plan

    jobs = share(plan(sweep.points(), runs), arguments.shard)
    if arguments.slurm:
        return _submit(sweep, runs, jobs, arguments, overrides)
    if arguments.dry_run:
        for job in jobs:
            print(shlex.join([*shlex.split(arguments.launcher), *job.command()]))
        return 0
    return _conclude(_start(sweep, jobs, _places(jobs, arguments), arguments.launcher))


def _search(sweep: Sweep, runs: Path, arguments: argparse.Namespace) -> int:
    from flowdeblur.ablation.search import Search
    from flowdeblur.cli.planning import plan

    for name, given in (("--slurm", arguments.slurm), ("--shard", arguments.shard)):
        if given:
            raise UserError(
                f"{name}: a Bayesian search proposes runs by the ones before; run it here"
            )
    search, states = Search(sweep, runs), dict[str, "State"]()
    if arguments.dry_run:
        for job in plan(search.propose(arguments.jobs or 1), runs):
            print(shlex.join(job.command()))
        return 0
    places = _places(plan(search.propose(1), runs), arguments)
    while points := search.propose(len(places)):
        jobs = plan(points, runs)
        for job in jobs:
            print(f"{job.name}: {' '.join(f'{k}={v}' for k, v in job.point.parameters.items())}")
        states |= _start(sweep, jobs, places, arguments.launcher)
        search.close(points)
    best = search.best()
    if best:
        print(f"best so far: {best[0].name} with {sweep.metric} {best[1]:.4g}")
    return _conclude(states)


def _start(
    sweep: Sweep, jobs: Sequence[Job], places: Sequence[Slot], launcher: str
) -> dict[str, State]:
    from flowdeblur.ablation.runner import run
    from flowdeblur.ablation.view import View

    view = View(sweep.name, jobs, len(places), sys.stdout)
    return run(jobs, places, view, shlex.split(launcher))


def _conclude(states: dict[str, State]) -> int:
    from flowdeblur.ablation.jobs import State

    for state, remedy in (
        (State.FAILED, "the same command tries again"),
        (State.STOPPED, "the same command goes on"),
    ):
        names = [name for name, each in states.items() if each == state]
        if names:
            raise RuntimeFailureError(
                f"{len(names)} of {len(states)} {state}: {', '.join(names)}; {remedy}"
            )
    return 0


def _submit(
    sweep: Sweep,
    runs: Path,
    jobs: Sequence[Job],
    arguments: argparse.Namespace,
    overrides: Sequence[str],
) -> int:
    from flowdeblur.ablation import slurm

    for name, given in (
        ("--shard", arguments.shard),
        ("--jobs", arguments.jobs),
        ("--launcher", arguments.launcher),
    ):
        if given:
            raise UserError(
                f"{name}: an array of --slurm has one task for each run; leave it out, or add "
                "to the script that --dry-run prints"
            )
    command = ["run", str(arguments.sweep), "--runs", str(runs), *overrides]
    script = slurm.script(sweep.name, runs / "slurm", jobs, command, arguments.sbatch)
    if arguments.dry_run:
        print(script, end="")
    else:
        print(slurm.submit(script, runs / "slurm"))
    return 0


def _status(sweep: Sweep, jobs: Sequence[Job]) -> int:
    from flowdeblur.ablation.jobs import count_states
    from flowdeblur.ablation.view import describe

    states = {job.name: job.state() for job in jobs}
    print(f"{sweep.name}: {count_states(states)}")
    width = max((len(job.name) for job in jobs), default=0)
    for job in jobs:
        print(f"  {job.name:{width}}  {describe(job, states[job.name])}")
    return 0


def _table(sweep: Sweep, jobs: Sequence[Job], arguments: argparse.Namespace) -> int:
    from flowdeblur.ablation.page import to_html
    from flowdeblur.ablation.results import collect
    from flowdeblur.ablation.table import Table, numbers, to_csv, to_latex, to_markdown
    from flowdeblur.engine.configuration import config_dir
    from flowdeblur.files import write_text

    formats = {"markdown": to_markdown, "latex": to_latex, "csv": to_csv, "html": to_html}
    suffixes = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html"}
    for path in arguments.out:
        if path.suffix not in suffixes:
            raise UserError(f"--out {path}: end it in one of {', '.join(suffixes)}")
    table = Table(sweep.title, collect(jobs, config_dir() / "ablation"), arguments.reference)
    if not arguments.out:
        print(formats[arguments.format](table), end="")
    for path in arguments.out:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, formats[suffixes[path.suffix]](table))
        print(path)
    if arguments.wandb:
        from flowdeblur.engine.loggers import log_table

        log_table(arguments.wandb, sweep.name, *numbers(table), jobs[0].folder.parent)
    return 0


def _known_jobs(sweep: Sweep, runs: Path) -> list[Job]:
    from flowdeblur.ablation.jobs import Job

    if sweep.method == "bayes":
        from flowdeblur.ablation.search import recorded

        points: Iterable[Point] = recorded(sweep, runs)
    else:
        points = sweep.points()
    return [Job(point, runs / point.name) for point in points]


def _places(jobs: Sequence[Job], arguments: argparse.Namespace) -> list[Slot]:
    from flowdeblur.ablation.runner import slots, visible_gpus

    devices = max((job.devices for job in jobs), default=1)
    return slots(arguments.jobs, devices, visible_gpus())


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text}")
    return int(text)
