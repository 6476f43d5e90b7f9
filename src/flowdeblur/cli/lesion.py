"""``flowdeblur lesion``: decibels lost when a part of a network is switched off.

Examples:
    flowdeblur lesion default
    flowdeblur lesion runs/ID data=dvd data.root=/data/DVD max_frames=100
"""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from flowdeblur.cli.hydra_job import print_report, run_job


def main(argv: Sequence[str]) -> int:
    """Measure lesions; a first argument without ``=`` is the weights."""
    overrides = list(argv)
    if overrides and "=" not in overrides[0] and not overrides[0].startswith("-"):
        overrides[0] = f"weights={overrides[0]}"
    return run_job("lesion", _lesion, overrides, __file__)


def _lesion(config: DictConfig) -> None:
    # Imported here, so that torch is loaded only when there is something to measure.
    from flowdeblur.engine.lesions import lesion

    print_report(lesion, config)
