"""The run folder: the identity of a run, and everything it leaves behind.

A run folder holds

    config.yaml          the resolved configuration
    train.log            what was printed
    checkpoints/         step_<n>.ckpt, to go on from
    metrics.json         scores, history and costs
    pictures/            panels of held-out frames
    weights.safetensors  the trained network, for others
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from flowdeblur.errors import UserError
from flowdeblur.files import write_text

SAME_RUN = ("seed", "model", "init", "task", "data", "objective", "optimizer")
"""Sections that make a run what it is.

Budget, devices, loggers and callbacks may change when it goes on.
"""


class RunFolder:
    """One run's folder.

    Args:
        path: the folder, made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.pictures = path / "pictures"
        self.metrics = path / "metrics.json"
        self.config = path / "config.yaml"
        self.weights = path / "weights.safetensors"
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.pictures.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{path}: cannot make the run folder ({error.strerror}); set hydra.run.dir"
            ) from None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Write ``config.yaml``, or see that an earlier run in this folder was the same one.

        Raises:
            UserError: the folder belongs to a run with another model, data, ...
        """
        if self.config.exists():
            earlier = yaml.safe_load(self.config.read_text()) or {}
            for key, old, new in _differences(earlier, config):
                raise UserError(
                    f"{self.path} holds a run with {key}={old}, not {new}: "
                    "choose another hydra.run.dir, or delete it"
                )
        write_text(self.config, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))

    def checkpoints_newest_first(self) -> list[Path]:
        """Complete checkpoints; their names carry the step."""
        return sorted(
            self.checkpoints.glob("step_*.ckpt"), key=lambda each: each.stem, reverse=True
        )

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``."""
        write_text(self.metrics, json.dumps(metrics, indent=1) + "\n")


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*old, *new]):
        if not prefix and key not in SAME_RUN:
            continue
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key}", before, after
