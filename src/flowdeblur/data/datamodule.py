"""Sources, augmentation and sampling as one LightningDataModule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from flowdeblur.data.augmentation import Crop, Transform
from flowdeblur.data.sampler import BatchStream, EpochIndex
from flowdeblur.errors import UserError
from flowdeblur.types import Batch, Sample, SampleSequence, Source


class DataModule(L.LightningDataModule):
    """Training, validation and test data.

    Args:
        train: where training samples come from.
        val: held out, for choosing.
        test: held out, for the final scores; None takes ``val``.
        patch: (H, W) of the training samples, in pixels.
        crop: makes the transform that cuts a patch, from its ``size``.
        augmentation: transforms of the patch, one after the other.
        time_reversal: take the neighbours the other way round in half of the draws: the previous
            frame for the next one, as if the clip ran backwards. The frame to restore stays.
        batch_size: samples an optimiser step takes, over all processes and accumulated batches
            together.
        device_batch_size: most samples that a process takes at once; it accumulates the gradients
            of as many batches as its share of ``batch_size`` then needs. None takes all at once.
        eval_batch_size: samples a validation or test batch; 1 where frames differ in size.
        workers: processes that prepare batches; 0 prepares them in the training process.
        seed: of shuffling and augmentation.
        root: folder of the data set, if it is one; the sources' own roots refer to it.
    """

    def __init__(
        self,
        *,
        train: Source,
        val: Source,
        test: Source | None = None,
        patch: Sequence[int],
        crop: Callable[..., Transform] = Crop,
        augmentation: Sequence[Transform] = (),
        time_reversal: bool = False,
        batch_size: int,
        device_batch_size: int | None = None,
        eval_batch_size: int = 1,
        workers: int = 0,
        seed: int = 0,
        root: str | None = None,
    ) -> None:
        super().__init__()
        is_local = root is not None and "://" not in root
        if is_local and not Path(str(root)).expanduser().is_dir():
            raise UserError(
                f"data.root={root}: no such folder; set data.root to the folder of the data set"
            )
        self.sources: dict[str, Source] = {"train": train, "val": val, "test": test or val}
        self.transforms: tuple[Transform, ...] = (crop(size=patch), *augmentation)
        self.time_reversal, self.seed = time_reversal, seed
        self.batch_size, self.device_batch_size = batch_size, device_batch_size
        self.eval_batch_size, self.workers = eval_batch_size, workers
        self._offsets: tuple[tuple[int, ...], tuple[int, ...]] = ((0,), ())

    def serve(self, frame_offsets: Sequence[int], flow_offsets: Sequence[int]) -> None:
        """Say what the network reads and predicts (its attributes of these names)."""
        self._offsets = (tuple(frame_offsets), tuple(flow_offsets))

    def accumulated(self, processes: int) -> int:
        """How many batches a process accumulates for a step, for ``device_batch_size``.

        Args:
            processes: how many share ``batch_size``.

        Raises:
            UserError: they cannot share it.
        """
        if self.batch_size % processes:
            raise UserError(
                f"data.batch_size={self.batch_size} cannot be shared by {processes} processes; "
                f"choose a multiple of {processes}"
            )
        share = self.batch_size // processes
        limit = self.device_batch_size or share
        return next(n for n in range(1, share + 1) if share % n == 0 and share // n <= limit)

    def open(self, split: str) -> SampleSequence:
        """Open ``train``, ``val`` or ``test``: samples at full size, without augmentation."""
        return self.sources[split].open(*self._offsets)

    def _open_reversed(self) -> SampleSequence:
        frames, flows = (tuple(-offset for offset in offsets) for offsets in self._offsets)
        return self.sources["train"].open(frames, flows)

    def prepare_data(self) -> None:
        """Lightning's hook, on one process a node: render or check what the sources need."""
        for split in self.sources:
            self.open(split)
        if self.time_reversal:
            self._open_reversed()

    def train_dataloader(self) -> DataLoader[Sample]:
        """Lightning's hook: the stream of batches from the trainer's step to its last one."""
        trainer = self.trainer
        assert trainer is not None
        accumulated = trainer.accumulate_grad_batches
        shares = trainer.world_size * accumulated
        if self.batch_size % shares:
            raise UserError(
                f"data.batch_size={self.batch_size} cannot be shared by {trainer.world_size} "
                f"processes and trainer.accumulate_grad_batches={accumulated}; "
                f"choose a multiple of {shares}"
            )
        samples = AugmentedSamples(
            self.open("train"),
            self.transforms,
            self.seed,
            self._open_reversed() if self.time_reversal else None,
        )
        stream = BatchStream(
            len(samples),
            self.batch_size // shares,
            trainer.max_steps * accumulated,
            self.seed,
            first=trainer.global_step * accumulated,
            rank=trainer.global_rank,
            world=trainer.world_size,
        )
        return DataLoader(
            samples,
            batch_sampler=stream,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=collate_mixed,
        )

    def val_dataloader(self) -> DataLoader[Sample]:
        """Lightning's hook."""
        return self._eval_dataloader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Lightning's hook."""
        return self._eval_dataloader("test")

    def _eval_dataloader(self, split: str) -> DataLoader[Sample]:
        samples = PlainSamples(self.open(split))
        trainer = self.trainer
        world, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        if len(samples) < world:
            raise UserError(
                f"data.{split} has {len(samples)} frames, fewer than the {world} processes; "
                "use fewer processes"
            )
        # Shares without repeats; process 0 has the first frames, whose pictures are shown.
        share = np.array_split(np.arange(len(samples)), world)[rank].tolist()
        return DataLoader(
            Subset(samples, share),
            batch_size=self.eval_batch_size,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=collate,
        )


class AugmentedSamples(Dataset[Sample]):
    """Training samples by (epoch, index); their augmentation is drawn from (seed, epoch, index).

    Args:
        samples: at full size.
        transforms: applied one after the other, the crop first.
        seed: of all draws.
        backwards: the same samples with the neighbours the other way round, taken in half of the
            draws; None for none.
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
    """Stack samples of one size and bring their 8-bit pictures to [0, 1]."""
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
    """Stack samples of which some have no flow: theirs is 0, and none of it visible.

    So they teach flow by warping alone.
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


def _to_float(pictures: list[Tensor]) -> Tensor:
    sizes = {tuple(each.shape) for each in pictures}
    if len(sizes) > 1:
        raise UserError(
            f"frames of different sizes in one batch ({', '.join(map(str, sorted(sizes)))}); "
            "set data.eval_batch_size=1"
        )
    return torch.stack(pictures).float() / 255
