"""``flowdeblur evaluate``: score weights, or restored frames, under named protocols.

Examples:
    flowdeblur evaluate weights=runs/<id>
    flowdeblur evaluate weights=runs/<id> data=dvd data.root=/data/DVD 'protocols=[paper,vrt]'
    flowdeblur evaluate predictions=theirs data=dvd data.root=/data/DVD 'protocols=[paper,vrt]'
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from flowdeblur.cli.hydra_job import run_job


def main(argv: Sequence[str]) -> int:
    """Evaluate as the overrides in ``argv`` say."""
    return run_job("evaluate", _evaluate, argv, __file__)


def _evaluate(config: DictConfig) -> None:
    # Imported here, so that torch is loaded only when there is something to score.
    from flowdeblur.engine.evaluation import evaluate

    try:
        print(evaluate(config))
    except BaseException:
        with suppress(OSError):  # it holds something
            Path(config.run_dir).rmdir()  # which Hydra has made
        raise
