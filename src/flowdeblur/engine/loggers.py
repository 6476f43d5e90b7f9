"""Weights & Biases: stable run ids, offline fallback, artifacts, tables."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from flowdeblur.errors import UserError
from flowdeblur.runs import RunFolder

log = logging.getLogger(__name__)

_HYPERPARAMETERS = ("seed", "model", "objective", "optimizer", "scheduler", "init", "task", "data")


def wandb_logger(
    run_dir: str,
    project: str,
    name: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
) -> WandbLogger:
    """Make a logger whose W&B run has the run folder's name as id; a resumed run stays one run.

    Args:
        run_dir: the run folder; W&B's own files go there too.
        project: W&B project.
        name: displayed name; None takes the run folder's.
        group: W&B group.
        tags: W&B tags.
    """
    logger = WandbLogger(
        project=project,
        name=name or Path(run_dir).name,
        id=Path(run_dir).name,
        resume="allow",
        save_dir=run_dir,
        group=group,
        tags=list(tags),
        log_model=False,  # checkpoints are large; the weights are in the run folder
    )
    logger._wandb_init.pop("anonymous", None)  # W&B warns of it, and Lightning 2.6 sets it
    return logger


def log_settings(loggers: Iterable[Logger], settings: Mapping[str, Any]) -> None:
    """Log the configuration; TensorBoard's HPARAMS gets only what experiments differ in."""
    for logger in loggers:
        whole = not isinstance(logger, TensorBoardLogger)
        logger.log_hyperparams(dict(settings) if whole else hyperparameters(settings))


def hyperparameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values that experiments differ in, by dotted key: no folders, callbacks or loggers."""
    chosen = {name: settings[name] for name in _HYPERPARAMETERS if name in settings}
    chosen["trainer"] = {name: settings["trainer"].get(name) for name in ("max_steps", "precision")}
    return dict(_flat(chosen, ""))


def _flat(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name not in ("_partial_", "root", "cache", "sources", "augmentation"):
                yield from _flat(value, f"{key}.{name}" if key else name)
    else:
        yield key, str(node) if isinstance(node, list | tuple) else node


def connect(loggers: Iterable[Logger]) -> None:
    """Start the W&B run; offline where its server cannot be reached.

    Call this in the first process only.

    Raises:
        UserError: nobody is logged in.
    """
    for logger in _wandb(loggers):
        try:
            _ = logger.experiment
        except wandb.errors.UsageError as error:
            raise _not_logged_in("logger=wandb", error) from None
        except wandb.errors.CommError as error:
            log.warning(
                "W&B cannot be reached (%s): logging offline; later run: wandb sync %s",
                str(error).splitlines()[0],
                Path(logger.save_dir or ".") / "wandb" / "offline-run-*",
            )
            os.environ["WANDB_MODE"] = "offline"  # for the jobs of a multirun that follow, too
            wandb.teardown()  # it reads the environment only at its first start
            _ = logger.experiment


def finish(loggers: Iterable[Logger], folder: RunFolder | None = None) -> None:
    """Close the W&B run.

    Lightning closes it at the end of the process, which the jobs of a multirun share.

    Args:
        loggers: loggers of the run.
        folder: run folder of a complete run, whose best weights become an artifact.
    """
    for logger in _wandb(loggers):
        run = logger.experiment
        if folder is not None:
            weights = folder.best if folder.best.exists() else folder.weights
            name = re.sub(r"[^\w.-]", "-", folder.path.name)
            artifact = wandb.Artifact(name, type="model", metadata={"run": folder.path.name})
            artifact.add_file(str(weights))
            run.log_artifact(artifact, aliases=["best"])
        run.finish()


def interrupt(loggers: Iterable[Logger]) -> None:
    """Mark the W&B run as one that will be resumed."""
    for logger in _wandb(loggers):
        logger.experiment.mark_preempting()
        logger.experiment.finish(exit_code=1)


def log_table(
    project: str, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], folder: Path
) -> None:
    """Publish a table as a W&B run of its own.

    Args:
        project: W&B project.
        name: name of the run and of the table.
        columns: headings.
        rows: plain values, one for each column.
        folder: folder of W&B's own files.

    Raises:
        UserError: nobody is logged in.
    """
    try:
        run = wandb.init(project=project, name=name, job_type="table", dir=folder)
    except wandb.errors.UsageError as error:
        raise _not_logged_in(f"--wandb {project}", error) from None
    run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})
    run.finish()


def _not_logged_in(option: str, error: Exception) -> UserError:
    return UserError(
        f"{option}: {str(error).splitlines()[0]}; run `wandb login`, or set WANDB_MODE=offline"
    )


def _wandb(loggers: Iterable[Logger]) -> list[WandbLogger]:
    return [logger for logger in loggers if isinstance(logger, WandbLogger)]
