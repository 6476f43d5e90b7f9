"""Which samples make up which batch: a pure function of (seed, batch number).

A resumed run therefore is the same run.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

EpochIndex = tuple[int, int]


class BatchStream(Sampler[list[EpochIndex]]):
    """One long stream of batches over reshuffled epochs.

    A batch may begin in one epoch and end in the next. Sample number n of the stream belongs to
    epoch n // size. Batch k of rank r holds the numbers (k * world + r) * batch_size and following,
    so that W ranks with batches of B / W read together what one process with batches of B reads.

    Args:
        size: number of samples in the data set.
        batch_size: samples a batch and rank.
        batches: length of the stream.
        seed: of the shuffling.
        first: batch to begin with; the length still counts from 0, as Lightning's counters do on
            resuming.
        rank: this process.
        world: number of processes.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        batches: int,
        seed: int,
        *,
        first: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.size, self.batch_size, self.batches, self.seed = size, batch_size, batches, seed
        self.first, self.rank, self.world = first, rank, world

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[EpochIndex]]:
        """Yield the (epoch, index) pairs of each batch."""
        shuffled, order = -1, np.empty(0, dtype=np.int64)
        for batch in range(self.first, self.batches):
            start = (batch * self.world + self.rank) * self.batch_size
            pairs = []
            for number in range(start, start + self.batch_size):
                epoch, position = divmod(number, self.size)
                if epoch != shuffled:
                    shuffled = epoch
                    order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
                pairs.append((epoch, int(order[position])))
            yield pairs
