"""The loggers that need more than Lightning does for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lightning.pytorch.loggers import Logger, WandbLogger


def wandb_logger(
    run_dir: str, project: str, group: str | None = None, tags: Sequence[str] = ()
) -> WandbLogger:
    """Log to the W&B run whose id is the run folder's name, so that a resumed run stays one run.

    Args:
        run_dir: the run folder; W&B's own files go there too.
        project: of the run.
        group: runs that belong together.
        tags: words to find the run by.
    """
    name = Path(run_dir).name
    return WandbLogger(
        project=project,
        name=name,
        id=name,
        resume="allow",
        save_dir=run_dir,
        group=group,
        tags=list(tags),
        log_model=False,  # checkpoints are large; the weights lie in the run folder
    )


def finish(loggers: Iterable[Logger]) -> None:
    """Close the W&B run.

    Lightning leaves that to the end of the process, which a multirun's jobs share.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()
