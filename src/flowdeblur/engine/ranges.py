"""Ranges of the numbers in a configuration, checked before anything is built."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flowdeblur.errors import UserError


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        high = " or more" if self.high == math.inf else f" to {self.high:g}"
        return f"{self.low:g}{high}"


MAX_PROCESSES, MAX_SAMPLES, MAX_SIDE = 1024, 1_000_000, 65_536

RANGES = {
    "max_minutes": Range(0),
    "budget_minutes": Range(0),
    "data.batch_size": Range(1, MAX_SAMPLES),
    "data.device_batch_size": Range(1, MAX_SAMPLES),
    "data.eval_batch_size": Range(1, MAX_SAMPLES),
    "data.workers": Range(0, MAX_PROCESSES),
    "data.patch": Range(1, MAX_SIDE),
    "data.seed": Range(0, 2**32 - 1),
    "model.shrinkage": Range(0, 255),
    "model.width": Range(1, MAX_SIDE),
    "optimizer.lr": Range(0),
    "optimizer.weight_decay": Range(0),
    "optimizer.eps": Range(0),
    "optimizer.betas": Range(0, 1 - 1e-9),
    "scheduler.warmup_steps": Range(0),
    "scheduler.last_step": Range(1),
    "task.flow_first": Range(0),
    "trainer.accumulate_grad_batches": Range(1, MAX_SAMPLES),
    "trainer.gradient_clip_val": Range(0),
    "trainer.log_every_n_steps": Range(1),
    "trainer.max_steps": Range(1, 2**53),
    "trainer.num_nodes": Range(1, MAX_PROCESSES),
    "trainer.num_sanity_val_steps": Range(0),
    "trainer.val_check_interval": Range(1),
}
"""By key; each element of a list is checked. A value of null or a text is not."""


def check_ranges(settings: Mapping[str, Any]) -> None:
    """Check all numbers of a configuration.

    Raises:
        UserError: names the first key whose number is not finite or outside of its range.
    """
    for key, value in _numbers(settings):
        if not math.isfinite(value):
            raise UserError(f"{key}: must be a finite number, got {value}")
        allowed = RANGES.get(key)
        if allowed is not None and not allowed.low <= value <= allowed.high:
            raise UserError(f"{key}: must be {allowed}, got {value}")
    interval = settings.get("trainer", {}).get("val_check_interval")
    if isinstance(interval, float):
        raise UserError(
            f"trainer.val_check_interval: must be a whole number of steps, got {interval}"
        )


def _numbers(node: Any, key: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(node, Mapping):
        for name, child in node.items():
            yield from _numbers(child, f"{key}.{name}".lstrip("."))
    elif isinstance(node, list | tuple):
        for child in node:
            yield from _numbers(child, key)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield key, node
