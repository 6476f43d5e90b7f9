"""``flowdeblur train`` and ``train.py``: compose a configuration with Hydra and train.

Examples:
    python train.py
    python train.py model=bidirectional seed=1
    python train.py experiment=paper data=dvd data.root=/data/DVD
    python train.py trainer=ddp trainer.devices=8
    python train.py -m hydra/launcher=slurm seed=0,1,2
    python train.py hydra.run.dir=runs/ID     # resume that run
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from flowdeblur.cli.hydra_job import discard, run_job
from flowdeblur.errors import UserError
from flowdeblur.runs import RunFolder, refuse_other_folder


def main(argv: Sequence[str]) -> int:
    """Train as the overrides in ``argv`` say."""
    for token in argv:
        if token.startswith("hydra.run.dir="):  # before Hydra writes a log file there
            refuse_other_folder(Path(token.partition("=")[2].strip("'\"")))
    return run_job("train", _train, argv, __file__)


def _train(config: DictConfig) -> float:
    try:
        _check_processes(config)
        # Imported here, so that torch is loaded only when there is something to train.
        from flowdeblur.engine.training import train

        return train(config)
    except UserError:
        first = os.environ.get("LOCAL_RANK", "0") == "0"
        if first and Path(config.run_dir).is_dir():  # created by Hydra
            RunFolder(Path(config.run_dir)).discard_if_unused()
            discard(Path(config.run_dir))
        raise


def _check_processes(config: DictConfig) -> None:
    hydra_config, trainer = HydraConfig.get(), config.trainer
    in_one_process = "SlurmLauncher" not in hydra_config.launcher["_target_"]
    several = trainer.get("devices") not in (1, "1") or trainer.get("num_nodes", 1) != 1
    if hydra_config.mode == RunMode.MULTIRUN and in_one_process and several:
        raise UserError(
            "trainer.devices: a multirun (-m) trains its jobs in one process and cannot use "
            "several; add hydra/launcher=slurm, or start one process for each job"
        )
    if several and "strategy" not in trainer:
        raise UserError(
            f"trainer.devices={trainer.get('devices')}: several processes need a strategy; "
            "add trainer=ddp"
        )


if __name__ == "__main__":
    from flowdeblur.cli.edge import guarded

    sys.exit(guarded(main, sys.argv[1:]))
