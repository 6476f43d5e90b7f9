"""``flowdeblur train`` and ``train.py``: compose a configuration with Hydra and train.

Examples:
    python train.py
    python train.py model=bidirectional seed=1
    python train.py experiment=paper data=dvd data.root=/data/DVD
    python train.py trainer=ddp trainer.devices=8
    python train.py -m hydra/launcher=slurm seed=0,1,2
    python train.py hydra.run.dir=runs/<id>     # go on where that run was cut short
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from flowdeblur.cli.hydra_job import run_job
from flowdeblur.errors import UserError


def main(argv: Sequence[str]) -> int:
    """Train as the overrides in ``argv`` say."""
    return run_job("train", _train, argv, __file__)


def _train(config: DictConfig) -> float:
    hydra_config, trainer = HydraConfig.get(), config.trainer
    in_one_process = "SlurmLauncher" not in hydra_config.launcher["_target_"]
    several = trainer.get("devices") not in (1, "1") or trainer.get("num_nodes", 1) != 1
    if hydra_config.mode == RunMode.MULTIRUN and in_one_process and several:
        raise UserError(
            "trainer.devices: a multirun (-m) trains its jobs in one process and cannot use "
            "several; add hydra/launcher=slurm, or start one process a job instead"
        )
    # Imported here, so that torch is loaded only when there is something to train.
    from flowdeblur.engine.training import train

    return train(config)


if __name__ == "__main__":
    from flowdeblur.cli.edge import guarded

    sys.exit(guarded(main, sys.argv[1:]))
