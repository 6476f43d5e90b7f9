from __future__ import annotations

import pytest

from flowdeblur.data.sampler import BatchStream


def stream(**changes):
    settings = {"size": 10, "batch_size": 4, "batches": 25, "seed": 3}
    return list(BatchStream(**(settings | changes)))


def test_every_epoch_holds_every_sample_once():
    pairs = [pair for batch in stream() for pair in batch]
    for epoch in range(10):
        assert sorted(index for e, index in pairs if e == epoch) == list(range(10))


def test_epochs_and_seeds_are_shuffled_differently():
    pairs = [pair for batch in stream() for pair in batch]
    orders = {tuple(index for e, index in pairs if e == epoch) for epoch in range(10)}
    assert len(orders) == 10
    assert stream() != stream(seed=4)
    assert stream() == stream()


@pytest.mark.parametrize("first", [0, 1, 7, 24, 25])
def test_a_resumed_stream_is_the_tail(first):
    assert stream(first=first) == stream()[first:]
    assert len(BatchStream(10, 4, 25, 3, first=first)) == 25


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_the_batches_of_one(world):
    ranks = [stream(batch_size=4 // world, rank=rank, world=world) for rank in range(world)]
    together = [[pair for rank in ranks for pair in rank[step]] for step in range(25)]
    assert together == stream()


def test_accumulated_batches_make_up_one():
    halves = stream(batch_size=2, batches=50)
    assert [halves[2 * step] + halves[2 * step + 1] for step in range(25)] == stream()


def test_a_batch_larger_than_the_data():
    pairs = [pair for batch in stream(size=3, batch_size=8, batches=3) for pair in batch]
    assert len(pairs) == 24
    assert sorted(index for e, index in pairs if e == 0) == [0, 1, 2]
