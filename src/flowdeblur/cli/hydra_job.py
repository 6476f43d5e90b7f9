"""Run a command whose command line is Hydra's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from flowdeblur.cli.overrides import explain
from flowdeblur.engine.configuration import config_dir
from flowdeblur.errors import FlowdeblurError, UserError


def run_job(
    name: str, job: Callable[[DictConfig], object], argv: Sequence[str], script: str
) -> int:
    """Compose ``conf/<name>.yaml`` with the overrides, and run ``job`` with it.

    Args:
        name: of the configuration at the root of ``conf``.
        job: gets the composed configuration; in a multirun (-m), one after the other.
        argv: overrides, and options of Hydra.
        script: file of the command, for those who start it again as a process.

    Returns:
        The exit status, 0.

    Raises:
        UserError: the command line, or what the job says of it.
        RuntimeFailureError: what the job says.
    """
    composed, errors, here = False, [], os.getpid()

    def guarded(config: DictConfig) -> object:
        nonlocal composed
        composed = True
        try:
            return job(config)
        except FlowdeblurError as error:
            if os.getpid() != here:
                raise  # a launcher runs this elsewhere, and brings the error back
            errors.append(error)  # kept from Hydra, which would say more than needs be
            return None

    # Hydra reads sys.argv, and Lightning starts the processes of DDP from it: both shall see a
    # script and its overrides.
    earlier, sys.argv = sys.argv, [script, *argv]
    # What Hydra raises shall reach us, instead of being printed with a traceback.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(str(config_dir()), name, version_base="1.3")(guarded)()
    except FlowdeblurError:
        raise
    except Exception as error:
        if composed:
            raise
        raise UserError(explain(error, argv, name)) from None
    finally:
        sys.argv = earlier
        GlobalHydra.instance().clear()
    if errors:
        raise errors[0]
    return 0
