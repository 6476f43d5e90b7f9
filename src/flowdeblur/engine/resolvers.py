"""Resolvers of the configuration: ``${run_id:}``, ``${sweep:}`` and ``${folder_name:}``."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from flowdeblur.errors import UserError


def run_id() -> str:
    """Return the name of the run folder, the same in all processes and after every restart.

    It is the value of ``RUN_ID`` or ``WANDB_RUN_ID``; else the number of the SLURM job, which stays
    the same after a requeue, or torchrun's id; else the time in microseconds.

    Raises:
        UserError: torchrun has started several processes that share no name.
    """
    environment = os.environ
    for variable in ("RUN_ID", "WANDB_RUN_ID"):
        if environment.get(variable):
            return environment[variable]
    # Lightning, too, regards jobs of these names as a terminal on a node.
    if "SLURM_JOB_ID" in environment and environment.get("SLURM_JOB_NAME") not in (
        "bash",
        "interactive",
    ):
        step = environment.get("SLURM_STEP_ID", "0")
        return f"slurm-{environment['SLURM_JOB_ID']}" + (f"-{step}" if step != "0" else "")
    rendezvous = environment.get("TORCHELASTIC_RUN_ID")
    if rendezvous == "none" and environment.get("WORLD_SIZE") != "1":
        raise UserError(
            "torchrun: its processes share no name for their run folder; "
            "start it with --standalone or --rdzv-id=NAME, or set RUN_ID"
        )
    if rendezvous not in (None, "none"):
        return f"torchrun-{rendezvous}"
    now = time.time()
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + f"-{int(now % 1 * 1e6):06d}"


def sweep() -> str | None:
    """Return the name of the sweep's folder; None if the job belongs to no sweep."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir).name


def run_name(seed: int) -> str | None:
    """Name a run after its model, data, recipe, row and seed; None outside of a Hydra job."""
    if not HydraConfig.initialized():
        return None
    return "-".join([*run_tags(), f"seed{seed}"])


def run_tags() -> list[str]:
    """Model, data, recipe and row of a run, as far as they are selected; none outside of Hydra."""
    if not HydraConfig.initialized():
        return []
    choices = HydraConfig.get().runtime.choices
    chosen = [choices.get(group) for group in ("model", "data", "experiment", "ablation")]
    return [each for each in chosen if each not in (None, "null")]


OmegaConf.register_new_resolver("run_name", run_name, replace=True)
OmegaConf.register_new_resolver("run_tags", run_tags, replace=True)
OmegaConf.register_new_resolver("run_id", run_id, use_cache=True, replace=True)
OmegaConf.register_new_resolver("sweep", sweep, replace=True)
OmegaConf.register_new_resolver("folder_name", lambda path: Path(path).name, replace=True)
