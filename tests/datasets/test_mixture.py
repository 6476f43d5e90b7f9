from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
import torch

from flowdeblur.datasets import Mixture
from flowdeblur.errors import UserError


@dataclass(frozen=True)
class Numbered:
    """A source of ``count`` samples whose keys are its name and their numbers."""

    name: str
    count: int

    def open(self, frame_offsets, flow_offsets):
        return NumberedSamples(self.name, self.count, len(frame_offsets))


class NumberedSamples:
    def __init__(self, name, count, frames):
        self.keys = [f"{name}/{k}" for k in range(count)]
        self.frames = torch.zeros(frames, 3, 1, 1, dtype=torch.uint8)

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, index):
        return {"frames": self.frames, "sharp": self.frames[0], "key": self.keys[index]}


def test_every_sample_is_seen_and_shares_are_kept():
    sources = {"large": Numbered("large", 30), "small": Numbered("small", 2)}
    samples = Mixture(sources, {"large": 3.0, "small": 1.0}).open((0, 1), ())
    keys = Counter(samples[k]["key"] for k in range(len(samples)))
    assert len(samples) == 40
    assert keys == {f"large/{k}": 1 for k in range(30)} | {f"small/{k}": 5 for k in range(2)}
    assert [samples[k]["key"] for k in range(len(samples))] == samples.keys
    assert samples[0]["frames"].shape[0] == 2


def test_beyond_the_end():
    samples = Mixture({"a": Numbered("a", 3)}, {"a": 1.0}).open((0,), ())
    assert len(samples) == 3
    with pytest.raises(IndexError):
        samples[3]


@pytest.mark.parametrize("shares", [{}, {"b": 1.0}, {"a": 0.0}, {"a": -1.0}, {"a": 1.0, "b": 1.0}])
def test_shares_that_do_not_fit(shares):
    with pytest.raises(UserError, match="shares"):
        Mixture({"a": Numbered("a", 3)}, shares)


def test_a_source_without_a_share_is_left_out():
    sources = {"a": Numbered("a", 3), "b": None}  # not even opened
    assert Mixture(sources, {"a": 0.5, "b": 0}).open((0,), ()).keys == ["a/0", "a/1", "a/2"]


def test_an_epoch_without_end_is_refused():
    sources = {"a": Numbered("a", 3), "rare": Numbered("rare", 3)}
    with pytest.raises(UserError, match=r"shares\.rare=1e-09: an epoch .* 3,000,000,00\d; give"):
        Mixture(sources, {"a": 1.0, "rare": 1e-9}).open((0,), ())


def test_attribution_names_only_sources():
    Mixture({"a": Numbered("a", 1)}, {"a": 1.0}, {"a": "by A, CC0"})
    with pytest.raises(UserError, match=r"attribution\.b: there is no source of this name"):
        Mixture({"a": Numbered("a", 1)}, {"a": 1.0}, {"b": "by B"})
