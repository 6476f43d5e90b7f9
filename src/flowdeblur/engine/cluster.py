"""Several processes and a cluster's scheduler: batches, requeueing, lost processes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from flowdeblur.data import DataModule
from flowdeblur.engine.loggers import interrupt
from flowdeblur.errors import UserError
from flowdeblur.runs import RunFolder
from flowdeblur.training.callbacks import GracefulShutdown, InterruptedRunError

log = logging.getLogger(__name__)


TRY_AGAIN = 75
"""EX_TEMPFAIL: the run can be resumed; docs/cluster/train.sbatch handles it."""


@contextmanager
def managed_run(
    trainer: L.Trainer, folder: RunFolder, interruption: GracefulShutdown
) -> Iterator[None]:
    """Lock the run folder, and end a run that a signal stops so that it can be resumed.

    Raises:
        UserError: another process has locked the run folder.
        InterruptedRunError: in the first process, when the run can be resumed; the others
            exit silently.
        SystemExit: another process is gone; the status is 75, "try again".
    """
    first = trainer.is_global_zero
    try:
        with folder.exclusive() if first else nullcontext(), interruption.handling_signals():
            yield
    except InterruptedRunError as interrupted:
        if first:
            interrupt(trainer.loggers)
        requeue(interrupted)
        if first:
            raise
        # Lightning kills the first process if one that it has started fails.
        environment = getattr(trainer.strategy, "cluster_environment", None)
        sys.exit(0 if isinstance(environment, LightningEnvironment) else 1)
    except RuntimeError as error:
        if not _is_lost_connection(error):
            raise
        log.error(
            "another process of this run is gone (%s): the same command resumes it", _line(error)
        )
        sys.exit(TRY_AGAIN)


def plugins() -> list[Any]:
    """Lightning's plugins for where the process runs: under SLURM we requeue jobs ourselves.

    Lightning would save in the middle of a step; see ``training.callbacks.GracefulShutdown``.
    """
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def share_batches(trainer: L.Trainer, data: DataModule) -> None:
    """Divide ``data.batch_size`` among the processes, with accumulation where memory is short.

    Afterwards ``trainer.val_check_interval`` counts batches, as Lightning does; in the
    configuration it counts steps, so that a run is the same run on any number of devices.

    Raises:
        UserError: the batch cannot be divided like this.
    """
    needed = data.accumulated(trainer.world_size)
    if needed > 1 and trainer.accumulate_grad_batches > 1:
        raise UserError(
            "data.device_batch_size and trainer.accumulate_grad_batches: set only one of them"
        )
    trainer.accumulate_grad_batches *= needed
    if isinstance(trainer.val_check_interval, int):
        trainer.val_check_interval *= trainer.accumulate_grad_batches


def requeue(interrupted: InterruptedRunError) -> None:
    """Ask SLURM to requeue this job if it has announced the job's end; then wait for that end.

    Every process of the job must call this; the first one asks. Returns if nothing has to be
    requeued, or SLURM refuses.
    """
    warned = interrupted.received in (signal.SIGUSR1, signal.SIGUSR2)
    if not (warned and SLURMEnvironment.detect()):
        return
    # From now on SIGTERM ends the process at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if os.environ["SLURM_PROCID"] == "0":
        job = os.environ["SLURM_JOB_ID"]
        if "SLURM_ARRAY_JOB_ID" in os.environ:
            job = "{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format_map(os.environ)
        log.info("%s: asking SLURM to requeue job %s", interrupted, job)
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, check=False
        )
        if done.returncode:
            log.warning("scontrol requeue %s failed: %s", job, done.stderr.strip())
    # If one process ended before the others, SLURM could count the job as failed.
    time.sleep(60)


def _is_lost_connection(error: RuntimeError) -> bool:
    # NCCL's errors have a class of their own; gloo's can be recognized by their text only.
    return isinstance(error, torch.distributed.DistError) or "/gloo/" in str(error)


def _line(error: RuntimeError) -> str:
    return str(error).splitlines()[0].partition(". ")[0]
