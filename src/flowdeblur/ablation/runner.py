"""Run jobs side by side on this machine, each in a new process."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from flowdeblur.ablation.jobs import State, SweepJob, state_after, write_exit
from flowdeblur.ablation.view import SweepView
from flowdeblur.errors import UserError

Slot = Mapping[str, str]
"""Environment variables of a place for jobs: its GPUs, or its number of threads."""

_POLL_S, _GRACE_S = 0.2, 15.0


@dataclass
class _Running:
    job: SweepJob
    process: subprocess.Popen[bytes]
    slot: Slot


def run(
    jobs: Sequence[SweepJob], slots: Sequence[Slot], view: SweepView, launcher: Sequence[str] = ()
) -> dict[str, State]:
    """Run the jobs that are not done, as many at a time as there are slots.

    An interrupted job resumes from its newest checkpoint. A failed job does not affect the others.
    A job that another process is running is waited for, so that several calls, on one machine or on
    a shared file system, can work on the same sweep. When this process ends early, it ends its jobs
    as well.

    Args:
        jobs: jobs in the order in which they start.
        slots: environment of each place.
        view: shows every change.
        launcher: words before each command line, such as ``srun``.

    Returns:
        Each job's state by its name.

    Raises:
        UserError: the launcher does not exist, or a folder cannot be made.
    """
    states = {job.name: State.DONE if job.done() else State.WAITING for job in jobs}
    pending = [job for job in jobs if states[job.name] == State.WAITING]
    if pending and launcher and shutil.which(launcher[0]) is None:
        raise UserError(
            f"--launcher {launcher[0]}: no such program on this machine; leave it out, "
            "or run the command where it is installed"
        )
    running, free = list[_Running](), list(slots)
    with _ending_on_signals():
        try:
            while pending or running:
                for each in [one for one in running if one.process.poll() is not None]:
                    running.remove(each)
                    free.append(each.slot)
                    states[each.job.name] = _ended(each)
                for job in list(pending):
                    if not free:
                        break
                    states[job.name], started = _begin(job, free, launcher)
                    if started:
                        running.append(started)
                    if started or states[job.name] == State.DONE:
                        pending.remove(job)
                view.show(states)
                if pending or running:
                    time.sleep(_POLL_S)
        finally:
            view.close()
            _end(running)
    return states


def slots(jobs: int | None, devices: int, gpus: Sequence[str]) -> list[Slot]:
    """Divide a machine among jobs.

    Args:
        jobs: number of jobs at a time; None takes as many as the GPUs allow, or one.
        devices: number of GPUs that a job uses.
        gpus: names of the GPUs of this machine.

    Returns:
        The environment of each place.
    """
    groups = [
        ",".join(gpus[first : first + devices])
        for first in range(0, len(gpus) - devices + 1, devices)
    ]
    count = jobs or max(len(groups), 1)
    if count == 1:
        return [{}]
    if groups:
        return [{"CUDA_VISIBLE_DEVICES": groups[n % len(groups)]} for n in range(count)]
    # By default every process would use all cores, and they would wait for each other.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", str(max((cores or 1) // count, 1)))
    return [{"OMP_NUM_THREADS": threads}] * count


def visible_gpus() -> list[str]:
    """Find the GPUs that CUDA can use, without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [each.strip() for each in visible.split(",") if each.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return [str(number) for number in range(count)]


def _begin(
    job: SweepJob, free: list[Slot], launcher: Sequence[str]
) -> tuple[State, _Running | None]:
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        claim = job.claim()
    except OSError as error:
        raise UserError(f"{job.folder}: cannot be made ({error.strerror}); set --runs") from None
    if claim is None:
        return State.RUNNING, None
    try:
        if job.done():  # another process has finished it
            return State.DONE, None
        slot, command = free.pop(0), [*launcher, *job.command()]
        with job.console.open("ab") as console:
            console.write(f"$ {shlex.join(command)}\n".encode())
            console.flush()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, **slot},
                start_new_session=True,  # Ctrl-C reaches this process only, which ends the job
                pass_fds=(claim,),  # the run keeps the claim if this process is killed
            )
        return State.RUNNING, _Running(job, process, slot)
    except OSError as error:  # a launcher without a first line, a read-only folder
        raise UserError(
            f"{error.filename or job.folder}: {error.strerror}; change --launcher or --runs"
        ) from None
    finally:
        os.close(claim)


def _ended(each: _Running) -> State:
    write_exit(each.job, each.process.returncode)
    if each.job.done():
        return State.DONE
    return state_after(each.process.returncode)


def _end(running: Sequence[_Running]) -> None:
    for sign, seconds in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, None)):
        for each in running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(each.process.pid, sign)
        deadline = time.monotonic() + (seconds or _GRACE_S)
        while time.monotonic() < deadline and any(each.process.poll() is None for each in running):
            time.sleep(_POLL_S)


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Raise SystemExit on signals that would otherwise end this process at once."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    earlier = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in earlier.items():
            signal.signal(each, handler)
