"""Several sources as one, each with its share of the samples."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from flowdeblur.datasets.separation import clips_by_file
from flowdeblur.errors import UserError
from flowdeblur.types import Sample, SampleSequence, Source

MAX_EPOCH_SAMPLES = 10**8
"""Samples of an epoch are numbered and shuffled in memory."""


@dataclass(frozen=True)
class Mixture:
    """Sources mixed by shares.

    An epoch shows every sample of every source. Where a source is smaller than its share of the
    epoch, its samples are repeated, each time with a new augmentation.

    Attributes:
        sources: the sources by name.
        shares: share of the samples of each source; they need not sum to 1, 0 excludes a source.
        attribution: authors and licences of each source; stored with the rest of the configuration
            in the metadata of weights.

    Raises:
        UserError: the names differ, a share is below 0, or all are 0.
    """

    sources: dict[str, Source]
    shares: dict[str, float]
    attribution: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.sources or self.sources.keys() != self.shares.keys():
            raise UserError(
                f"mixture: sources {sorted(self.sources)} and shares {sorted(self.shares)} must "
                "have the same names"
            )
        for name in self.attribution.keys() - self.sources.keys():
            raise UserError(f"mixture: attribution.{name}: there is no source of this name")
        for name, share in self.shares.items():
            if not share >= 0:
                raise UserError(f"mixture: shares.{name}={share} must be 0 (excluded) or above")
        if not any(self.shares.values()):
            raise UserError("mixture: shares: one of them must be above 0")

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> MixedSequence:
        """Open the sources that have a share; see :class:`~flowdeblur.types.Source`."""
        opened = {
            name: self.sources[name].open(frame_offsets, flow_offsets)
            for name, share in self.shares.items()
            if share
        }
        mixed = MixedSequence([(samples, self.shares[name]) for name, samples in opened.items()])
        if len(mixed) > MAX_EPOCH_SAMPLES:
            rarest = min(opened, key=lambda name: self.shares[name] / len(opened[name]))
            raise UserError(
                f"mixture: shares.{rarest}={self.shares[rarest]:g}: an epoch that shows all of its "
                f"samples has {len(mixed):,}; give it a larger share, or 0"
            )
        return mixed


class MixedSequence:
    """Samples of several sequences, one after the other; training shuffles them.

    Args:
        parts: sequences and their shares.
    """

    def __init__(self, parts: Sequence[tuple[SampleSequence, float]]) -> None:
        self._parts = [samples for samples, _ in parts]
        total = sum(share for _, share in parts)
        length = max(len(samples) * total / share for samples, share in parts)
        counts = [math.ceil(length * share / total - 1e-9) for _, share in parts]
        self._starts = [0, *accumulate(counts)]

    @property
    def keys(self) -> list[str]:
        """The samples' keys, part by part."""
        keys = []
        for samples, start, stop in zip(self._parts, self._starts, self._starts[1:], strict=False):
            own = samples.keys
            keys += [own[k % len(own)] for k in range(stop - start)]
        return keys

    def clips_by_file(self) -> dict[str, str]:
        """Map each file that frames are read from to the name of its clip, for all parts."""
        return {file: clip for part in self._parts for file, clip in clips_by_file(part).items()}

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = bisect_right(self._starts, index) - 1
        samples = self._parts[part]
        return samples[(index - self._starts[part]) % len(samples)]
