"""``flowdeblur evaluate``: score weights, or restored frames, under named protocols.

Examples:
    flowdeblur evaluate weights=runs/ID
    flowdeblur evaluate weights=runs/ID data=dvd data.root=/data/DVD 'protocols=[paper,vrt]'
    flowdeblur evaluate predictions=theirs data=dvd data.root=/data/DVD 'protocols=[paper,vrt]'
    flowdeblur evaluate weights=runs/ID data=dvd data.root=/data/DVD 'metrics=[temporal]'
    flowdeblur evaluate weights=runs/ID --allow my_package
    flowdeblur evaluate --no-reference shaky.mp4 --out shaky-scores
"""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from flowdeblur.cli import no_reference
from flowdeblur.cli.hydra_job import print_report, run_job


def main(argv: Sequence[str]) -> int:
    """Evaluate as the overrides in ``argv`` say; ``--allow PACKAGE`` is ``allow=[PACKAGE]``.

    With ``--no-reference``, see :mod:`flowdeblur.cli.no_reference`.
    """
    if no_reference.OPTION in argv:
        return no_reference.main(argv)
    overrides, allowed, rest = list[str](), list[str](), iter(argv)
    for token in rest:
        if token.partition("=")[0] == "--allow":
            allowed.append(token.partition("=")[2] or next(rest, ""))
        else:
            overrides.append(token)
    if allowed:
        overrides.append(f"allow=[{','.join(allowed)}]")
    return run_job("evaluate", _evaluate, overrides, __file__)


def _evaluate(config: DictConfig) -> None:
    # Imported here, so that torch is loaded only when there is something to score.
    from flowdeblur.engine.evaluation import evaluate

    print_report(evaluate, config)
