"""Reductions over the processes of a run; with one process they are free."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Item = TypeVar("Item")


def count() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def total(x: Tensor) -> Tensor:
    """Sum of ``x`` over all processes; all of them must call this together."""
    if count() > 1:
        x = x.clone()
        dist.all_reduce(x)
    return x


def largest(number: int, device: torch.device) -> int:
    """Largest number over all processes; all of them must call this together."""
    if count() == 1:
        return number
    tensor = torch.tensor(number, device=device)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return int(tensor)


def gathered(items: list[Item]) -> list[Item]:
    """Lists of all processes, joined in rank order; all must call this together."""
    if count() == 1:
        return items
    lists: list[list[Item]] = [[] for _ in range(count())]
    dist.all_gather_object(lists, items)
    return [item for each in lists for item in each]


class FrameMeans:
    """Means of scores over all frames of all processes.

    Lightning's own reduction averages the number of frames as an integer (2.6), so that it is not
    exact when processes have different numbers of frames.
    """

    def __init__(self) -> None:
        self._scores: dict[str, list[float]] = {}

    def add(self, scores: Mapping[str, Tensor], frames: int, partial: Collection[str] = ()) -> None:
        """Add the scores of a batch.

        Args:
            scores: by name, each (B,), or a mean over the batch.
            frames: B.
            partial: names of scores that are NaN where they are not defined, which do not count.
        """
        columns = torch.stack([score.detach().float().expand(frames) for score in scores.values()])
        for name, column in zip(scores, columns.tolist(), strict=True):
            known = [each for each in column if name not in partial or not math.isnan(each)]
            self._scores.setdefault(name, []).extend(known)

    def pop(self, device: torch.device) -> dict[str, float]:
        """Average over all processes, and reset.

        Args:
            device: device on which processes exchange tensors.

        Returns:
            Means by name, the same in every process, and exact to double precision: they do not
            depend on how the frames were distributed. A score that no frame has is left out.
        """
        names = sorted(self._scores)
        sums = [math.fsum(self._scores[name]) for name in names]
        counts = [float(len(self._scores[name])) for name in names]
        self._scores = {}
        if count() > 1:
            both = torch.tensor([sums, counts], dtype=torch.float64, device=device)
            sums, counts = total(both).tolist()
        return {name: s / n for name, s, n in zip(names, sums, counts, strict=True) if n}
