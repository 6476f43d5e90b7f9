"""Samples as PyTorch data sets, and how they are collated to batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from flowdeblur.data.augmentation import Transform
from flowdeblur.data.sampler import EpochIndex
from flowdeblur.errors import UserError
from flowdeblur.types import Batch, Sample, SampleSequence


class AugmentedSamples(Dataset[Sample]):
    """Training samples by (epoch, index); their augmentation is drawn from (seed, epoch, index).

    Args:
        samples: samples at full size.
        transforms: applied in this order; the crop comes first.
        seed: seed of all draws.
        backwards: the same samples with negated offsets, used in half of the draws; None: never.
    """

    def __init__(
        self,
        samples: SampleSequence,
        transforms: Sequence[Transform],
        seed: int,
        backwards: SampleSequence | None = None,
    ) -> None:
        self.samples, self.transforms, self.seed = samples, transforms, seed
        self.backwards = backwards

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, epoch_index: EpochIndex) -> Sample:
        epoch, index = epoch_index
        rng = np.random.default_rng([self.seed, epoch, index])
        samples = self.samples
        if self.backwards is not None and rng.random() < 0.5:
            samples = self.backwards
        sample = samples[index]
        for transform in self.transforms:
            sample = transform(sample, rng)
        return sample


class PlainSamples(Dataset[Sample]):
    """Validation and test samples by index."""

    def __init__(self, samples: SampleSequence) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def collate(samples: list[Sample]) -> Batch:
    """Stack samples of one size and convert their 8-bit images to floats in [0, 1]."""
    batch: Batch = {
        "frames": _to_float([each["frames"] for each in samples]),
        "sharp": _to_float([each["sharp"] for each in samples]),
        "key": [each["key"] for each in samples],
    }
    if all("flow" in each for each in samples):
        batch["flow"] = torch.stack([each["flow"] for each in samples])
    if all("visible" in each for each in samples):
        batch["visible"] = torch.stack([each["visible"] for each in samples])
    return batch


def collate_mixed(samples: list[Sample]) -> Batch:
    """Stack samples of which some have no true flow: theirs is 0, and none of it is visible.

    These samples supervise flow by warping only.
    """
    batch = collate(samples)
    known = [each for each in samples if "flow" in each]
    if known and "flow" not in batch:
        channels, height, width = known[0]["flow"].shape
        batch["flow"] = torch.zeros(len(samples), channels, height, width)
        batch["visible"] = torch.zeros(len(samples), channels // 2, height, width, dtype=torch.bool)
        for place, each in enumerate(samples):
            if "flow" in each:
                batch["flow"][place] = each["flow"]
                batch["visible"][place] = each.get("visible", torch.tensor(True))
    return batch


def _to_float(images: list[Tensor]) -> Tensor:
    sizes = {tuple(each.shape) for each in images}
    if len(sizes) > 1:
        raise UserError(
            f"frames of different sizes in one batch ({', '.join(map(str, sorted(sizes)))}); "
            "set data.eval_batch_size=1"
        )
    return torch.stack(images).float() / 255
