"""The statistics of a table: intervals for differences, and the agreement of two orders."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def bootstrap_interval(
    differences: Array, *, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean (Efron 1979).

    Args:
        differences: paired, one for each frame; frames are drawn anew with replacement.
        resamples: how often.
        level: share of the resampled means that the interval holds.
        seed: of the draws, so that a table is the same every time.

    Returns:
        The interval's ends.
    """
    generator = np.random.default_rng(seed)
    count = len(differences)
    # A few at a time: a test set of thousands of frames would need gigabytes at once.
    share = max(1_000_000 // count, 1)
    sizes = [min(share, resamples - done) for done in range(0, resamples, share)]
    means = np.concatenate(
        [differences[generator.integers(count, size=(n, count))].mean(axis=1) for n in sizes]
    )
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation: 1 for the same order, -1 for the reverse.

    Args:
        first: scores; equal ones share their mean rank.
        second: scores of the same items.

    Returns:
        The correlation; None for fewer than two items or where all of a side are equal.
    """
    ranks = [_ranks(np.asarray(each, dtype=float)) for each in (first, second)]
    if any(len(set(each)) < 2 for each in ranks):
        return None
    return statistics.correlation(*ranks)


def quantile_edges(values: Array, bins: int) -> list[float]:
    """Edges of bins that hold about as many values each; equal edges are merged."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    return [float(each) for each in edges.tolist()]


def _ranks(values: Array) -> list[float]:
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return [float(rank) for rank in below + (equal + 1) / 2]
