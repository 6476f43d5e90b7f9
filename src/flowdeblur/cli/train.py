"""``flowdeblur train`` and ``train.py``: compose a configuration with Hydra and train.

Examples:
    python train.py
    python train.py model=bidirectional seed=1
    python train.py experiment=paper data=dvd data.root=/data/DVD
    python train.py hydra.run.dir=runs/<id>     # go on where that run was cut short
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from flowdeblur.cli.overrides import explain
from flowdeblur.engine.configuration import config_dir
from flowdeblur.errors import Failure, UserError


def main(argv: Sequence[str]) -> int:
    """Train as the overrides in ``argv`` say."""
    composed, errors = False, []

    def job(config: DictConfig) -> float | None:
        nonlocal composed
        composed = True
        try:
            return _train(config)
        except (UserError, Failure) as error:  # kept from Hydra, which would say more than needs be
            errors.append(error)
            return None

    # Hydra reads sys.argv, and Lightning starts the processes of DDP from it: both shall see a
    # script and its overrides.
    earlier, sys.argv = sys.argv, [__file__, *argv]
    # What Hydra raises shall reach us, instead of being printed with a traceback.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(str(config_dir()), "train", version_base="1.3")(job)()
    except Exception as error:
        if composed:
            raise
        raise UserError(explain(error, argv)) from None
    finally:
        sys.argv = earlier
        GlobalHydra.instance().clear()
    if errors:
        raise errors[0]
    return 0


def _train(config: DictConfig) -> float:
    if HydraConfig.get().mode == RunMode.MULTIRUN and config.trainer.get("devices") not in (1, "1"):
        raise UserError(
            "trainer.devices: a multirun (-m) trains its jobs in one process and cannot use "
            "several devices; start one process a job instead"
        )
    # Imported here, so that torch is loaded only when there is something to train.
    from flowdeblur.engine.training import train

    return train(config)


if __name__ == "__main__":
    from flowdeblur.cli import guarded

    sys.exit(guarded(main, sys.argv[1:]))
