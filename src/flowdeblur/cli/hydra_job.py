"""Run a command whose command line is Hydra's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from flowdeblur.cli.hydra_help import page
from flowdeblur.cli.overrides import explain, options_first
from flowdeblur.engine.configuration import config_dir
from flowdeblur.errors import FlowdeblurError, UserError


def run_job(
    name: str, job: Callable[[DictConfig], object], argv: Sequence[str], script: str
) -> int:
    """Compose ``conf/<name>.yaml`` with the overrides, and run ``job`` with it.

    Args:
        name: of the configuration at the root of ``conf``.
        job: called with the composed configuration; in a multirun (-m), once for each job.
        argv: overrides and options of Hydra, in any order.
        script: file of the command, from which further processes of the job are started.

    Returns:
        The exit status, 0.

    Raises:
        UserError: the command line is wrong, or the job raised it.
        RuntimeFailureError: the job raised it.
    """
    if list(argv) in (["-h"], ["--help"]):
        print(page(name))
        return 0
    composed, errors, here = False, [], os.getpid()

    def guarded(config: DictConfig) -> object:
        nonlocal composed
        composed = True
        try:
            return job(config)
        except FlowdeblurError as error:
            if os.getpid() != here:
                raise  # a launcher runs this elsewhere and returns the error
            errors.append(error)  # Hydra would print a traceback
            return None

    # Hydra reads sys.argv, and Lightning starts the processes of DDP from it: both need a script
    # and its overrides.
    earlier, sys.argv = sys.argv, [script, *options_first(argv)]
    # Hydra raises its errors instead of printing them with a traceback.
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


def print_report(job: Callable[[DictConfig], str], config: DictConfig) -> None:
    """Print what a job returns; where it fails, discard the folder that Hydra has created."""
    try:
        print(job(config))
    except BaseException:
        discard(Path(config.run_dir))
        raise


def discard(folder: Path) -> None:
    """Remove a folder that a failed job has left empty, and the folders in ``runs`` above it."""
    with suppress(OSError):  # it is not empty
        if folder.is_dir():
            folder.rmdir()
        for above in folder.absolute().parents:
            if above.is_relative_to(Path("runs").absolute()):
                above.rmdir()
