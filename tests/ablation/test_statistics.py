"""Against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from flowdeblur.ablation.statistics import bootstrap_interval, quantile_edges, rank_correlation


@pytest.mark.parametrize("count", [5, 300])
def test_bootstrap_interval(count):
    differences = np.random.default_rng(1).normal(0.3, 1.0, count)
    low, high = bootstrap_interval(differences)
    expected = scipy.stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=10_000, rng=2
    ).confidence_interval
    # Both are estimates from 10,000 resamples.
    tolerance = 0.05 * (expected.high - expected.low)
    assert low == pytest.approx(expected.low, abs=tolerance)
    assert high == pytest.approx(expected.high, abs=tolerance)
    assert (low, high) == bootstrap_interval(differences)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        low, high = bootstrap_interval(generator.normal(0.0, 1.0, 60), resamples=400)
        held += low <= 0 <= high
    assert 0.91 < held / 400 < 0.98


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1, 2, 3, 4], [2, 3, 5, 9]),
        ([1, 2, 3, 4], [4, 3, 2, 1]),
        ([28.84, 29.71, 30.11, 30.35, 30.56, 29.72, 30.58], [3, 1, 4, 1, 5, 9, 2]),
        ([1, 1, 2, 2, 2], [5, 4, 4, 6, 7]),
    ],
)
def test_rank_correlation(first, second):
    expected = scipy.stats.spearmanr(first, second).statistic
    assert rank_correlation(first, second) == pytest.approx(expected)


def test_an_order_of_equals_is_none():
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
    assert rank_correlation([1], [1]) is None


def test_bins_hold_as_many():
    values = np.random.default_rng(0).exponential(size=100)
    edges = quantile_edges(values, 4)
    assert np.histogram(values, edges)[0].tolist() == [25, 25, 25, 25]
    assert quantile_edges(np.ones(7), 4) == [1.0]
