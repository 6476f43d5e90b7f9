"""Submit a sweep as an array of SLURM jobs, one run each.

The script is plain text for sbatch. submitit would start pickled functions instead of command
lines; a task would lose its claim on the run folder, its output and its state in ``ablate status``.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from flowdeblur.ablation.jobs import SweepJob
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.files import write_text

_SCRIPT = """\
#!/bin/bash
# Written by flowdeblur ablate run --slurm: one task of the array for each run.
{options}

# The runner is one process of the task; srun starts the run, a process for each device.
exec {command} --shard "$SLURM_ARRAY_TASK_ID/{count}" --jobs 1 --launcher srun
"""


def script(
    name: str, logs: Path, jobs: Sequence[SweepJob], command: Sequence[str], options: Sequence[str]
) -> str:
    """Write the batch script.

    Args:
        name: name of the job.
        logs: folder of the tasks' output.
        jobs: the runs; task ``i``, from 1, runs the ``i``-th.
        command: arguments of ``flowdeblur ablate`` that plan the same runs.
        options: the user's options, such as ``partition=gpu``; they replace the defaults.

    Returns:
        The script, to be submitted from the current folder.

    Raises:
        UserError: an option sets the array itself.
    """
    devices = max((job.devices for job in jobs), default=1)
    chosen: dict[str, str | None] = {
        "job-name": name,
        "array": f"1-{len(jobs)}",
        "output": f"{logs}/%a.log",
        "open-mode": "append",  # a requeued task appends to its log
        "requeue": None,
        "nodes": "1",
        "ntasks-per-node": str(devices),
        # Without B: to the steps only, where the run saves a checkpoint and requeues the task.
        "signal": "SIGUSR1@120",
    }
    for option in options:
        key, _, value = option.removeprefix("--").partition("=")
        if key == "array":
            raise UserError("--sbatch array: set by the runs; select runs by KEY=VALUE")
        chosen[key] = value or None
    lines = [
        f"#SBATCH --{key}" + (f'="{value}"' if value is not None else "")
        for key, value in chosen.items()
    ]
    executable = [sys.executable, "-m", "flowdeblur", "ablate"]
    return _SCRIPT.format(
        options="\n".join(lines), command=shlex.join([*executable, *command]), count=len(jobs)
    )


def submit(text: str, folder: Path) -> str:
    """Write the script into ``folder`` and submit it by sbatch.

    Returns:
        The output of sbatch.

    Raises:
        UserError: sbatch is not installed.
        RuntimeFailureError: sbatch refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "array.sbatch"
    write_text(path, text)
    try:
        done = subprocess.run(["sbatch", str(path)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(
            f"sbatch: not found on this machine; submit {path} where it is installed"
        ) from None
    if done.returncode:
        raise RuntimeFailureError(f"sbatch refused {path}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()
