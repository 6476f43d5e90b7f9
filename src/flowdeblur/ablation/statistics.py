"""The statistics of a table: intervals of differences, and the agreement of two orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

_BATCH_VALUES = 1_000_000  # drawn at a time: a large test set would need gigabytes at once


def bootstrap_interval(
    differences: Array, *, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean (Efron 1979).

    Args:
        differences: paired, one for each frame; frames are resampled with replacement.
        resamples: number of resampled means.
        level: share of the resampled means inside the interval.
        seed: seed of the resampling, so that a table is the same every time.

    Returns:
        The ends of the interval.
    """
    return _bootstrap(differences, np.mean, resamples, level, seed)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation: 1 for the same order, -1 for the reverse order.

    Args:
        first: scores; equal ones share their mean rank.
        second: scores of the same items.

    Returns:
        The correlation; None for fewer than two items or where one side has equal scores only.
    """
    if any(len(set(each)) < 2 for each in (first, second)):
        return None
    return float(scipy.stats.spearmanr(first, second).statistic)


def rank_correlation_interval(
    published: Sequence[float], frames: Array, *, resamples: int = 2_000, level: float = 0.95
) -> tuple[float, float] | None:
    """Bootstrap interval, over test frames, of the rank correlation of mean scores.

    Args:
        published: scores of the rows.
        frames: scores of each row and frame, (rows, frames).
        resamples: number of resampled orders.
        level: share of the resampled correlations inside the interval.

    Returns:
        The ends of the interval; None for fewer than two rows or frames.
    """
    if min(frames.shape) < 2 or len(set(published)) < 2:
        return None
    theirs = scipy.stats.zscore(scipy.stats.rankdata(published))

    def correlation(places: Array, axis: int) -> Array:
        ranks = scipy.stats.rankdata(frames[:, places.astype(int)].mean(axis=-1), axis=0)
        spread = np.maximum(ranks.std(axis=0), 1e-12)  # of equal scores: no correlation
        mean: Array = np.tensordot(theirs, ranks - ranks.mean(axis=0), 1) / len(theirs) / spread
        return mean

    return _bootstrap(np.arange(float(frames.shape[1])), correlation, resamples, level, 0)


def quantile_edges(values: Array, bins: int) -> list[float]:
    """Edges of bins with about equal numbers of values; equal edges are merged."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    return [float(each) for each in edges.tolist()]


def _bootstrap(
    values: Array, statistic: Callable[..., Any], resamples: int, level: float, seed: int
) -> tuple[float, float]:
    interval = scipy.stats.bootstrap(
        (values,),
        statistic,
        n_resamples=resamples,
        batch=max(_BATCH_VALUES // len(values), 1),
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=seed,
    ).confidence_interval
    return float(interval.low), float(interval.high)
