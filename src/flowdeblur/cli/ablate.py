"""``flowdeblur ablate``: run a sweep, show its state, and tabulate its results."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowdeblur.cli.ablate_arguments import parse
from flowdeblur.errors import RuntimeFailureError, UserError

if TYPE_CHECKING:  # imported in the functions instead, so that --help is quick
    from flowdeblur.ablation.jobs import State, SweepJob
    from flowdeblur.ablation.runner import Slot
    from flowdeblur.ablation.sweep import Point, Sweep


def main(argv: Sequence[str]) -> int:
    """Run ``ablate run``, ``ablate status`` or ``ablate table``."""
    arguments, overrides = parse(argv)
    from flowdeblur.ablation.sweep import read_sweep

    sweep = read_sweep(arguments.sweep).with_overrides(overrides)
    runs = arguments.runs or Path("runs") / sweep.name
    if arguments.command == "run":
        return _run(sweep, runs, arguments, overrides)
    jobs = _known_jobs(sweep, runs)
    if arguments.command == "status":
        return _status(sweep, jobs)
    from flowdeblur.cli.ablate_table import tabulate

    return tabulate(sweep, runs, jobs, arguments)


def _run(sweep: Sweep, runs: Path, arguments: argparse.Namespace, overrides: Sequence[str]) -> int:
    if sweep.method == "bayes":
        return _search(sweep, runs, arguments)
    from flowdeblur.ablation.jobs import shard
    from flowdeblur.cli.planning import plan

    part = shard(arguments.shard)  # mistakes are reported before anything is composed
    if arguments.slurm:
        _check_array(arguments)
    jobs = plan(sweep.points(), runs, arguments.config_dir)[part]
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
                f"{name}: Bayesian search is sequential and cannot be sharded or submitted as an "
                "array; leave it out"
            )
    search, states = Search(sweep, runs), dict[str, "State"]()
    if arguments.dry_run:
        for job in plan(search.propose(arguments.jobs or 1), runs, arguments.config_dir):
            print(shlex.join(job.command()))
        return 0
    places = _places(plan(search.propose(1), runs, arguments.config_dir), arguments)
    while points := search.propose(len(places)):
        jobs = plan(points, runs, arguments.config_dir)
        for job in jobs:
            print(f"{job.name}: {' '.join(f'{k}={v}' for k, v in job.point.parameters.items())}")
        states |= _start(sweep, jobs, places, arguments.launcher)
        search.close(points)
    best = search.best()
    if best:
        print(f"best so far: {best[0].name} with {sweep.metric} {best[1]:.4g}")
    return _conclude(states)


def _start(
    sweep: Sweep, jobs: Sequence[SweepJob], places: Sequence[Slot], launcher: str
) -> dict[str, State]:
    from flowdeblur.ablation.runner import run
    from flowdeblur.ablation.view import SweepView

    view = SweepView(sweep.name, jobs, len(places), sys.stdout)
    return run(jobs, places, view, shlex.split(launcher))


def _conclude(states: dict[str, State]) -> int:
    from flowdeblur.ablation.jobs import State

    for state, remedy in (
        (State.FAILED, "the same command tries again"),
        (State.STOPPED, "the same command resumes"),
    ):
        names = [name for name, each in states.items() if each == state]
        if names:
            raise RuntimeFailureError(
                f"{len(names)} of {len(states)} {state}: {', '.join(names)}; {remedy}"
            )
    return 0


def _check_array(arguments: argparse.Namespace) -> None:
    for name, given in (
        ("--shard", arguments.shard),
        ("--jobs", arguments.jobs),
        ("--launcher", arguments.launcher),
    ):
        if given:
            raise UserError(
                f"{name}: an array of --slurm has one task for each run; leave it out, or add "
                "it to the script that --dry-run prints"
            )


def _submit(
    sweep: Sweep,
    runs: Path,
    jobs: Sequence[SweepJob],
    arguments: argparse.Namespace,
    overrides: Sequence[str],
) -> int:
    from flowdeblur.ablation import slurm

    command = ["run", str(arguments.sweep), "--runs", str(runs), *overrides]
    if arguments.config_dir:
        command += ["--config-dir", str(arguments.config_dir)]
    script = slurm.script(sweep.name, runs / "slurm", jobs, command, arguments.sbatch)
    if arguments.dry_run:
        print(script, end="")
    else:
        print(slurm.submit(script, runs / "slurm"))
    return 0


def _status(sweep: Sweep, jobs: Sequence[SweepJob]) -> int:
    from flowdeblur.ablation.jobs import count_states
    from flowdeblur.ablation.view import describe

    states = {job.name: job.state() for job in jobs}
    print(f"{sweep.name}: {count_states(states)}")
    width = max((len(job.name) for job in jobs), default=0)
    for job in jobs:
        print(f"  {job.name:{width}}  {describe(job, states[job.name])}")
    return 0


def _known_jobs(sweep: Sweep, runs: Path) -> list[SweepJob]:
    from flowdeblur.ablation.jobs import SweepJob

    if sweep.method == "bayes":
        from flowdeblur.ablation.search import recorded

        points: Iterable[Point] = recorded(sweep, runs)
    else:
        points = sweep.points()
    return [SweepJob(point, runs / point.name) for point in points]


def _places(jobs: Sequence[SweepJob], arguments: argparse.Namespace) -> list[Slot]:
    from flowdeblur.ablation.runner import slots, visible_gpus

    devices = max((job.devices for job in jobs), default=1)
    return slots(arguments.jobs, devices, visible_gpus())
