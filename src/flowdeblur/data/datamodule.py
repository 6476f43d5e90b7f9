"""Sources, augmentation and sampling as one LightningDataModule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, Subset

from flowdeblur.data.augmentation import Crop, Transform
from flowdeblur.data.sampler import BatchStream
from flowdeblur.data.samples import AugmentedSamples, PlainSamples, collate, collate_mixed
from flowdeblur.datasets.separation import demand_separate
from flowdeblur.errors import UserError
from flowdeblur.types import Sample, SampleSequence, Source


class DataModule(L.LightningDataModule):
    """Training, validation and test data.

    Args:
        frame_offsets: the frames of a sample relative to the one to restore; the network's
            attribute of this name.
        flow_offsets: the neighbours that true flow is wanted to; the network's attribute.
        train: source of the training samples.
        val: source of the validation samples.
        test: source of the test samples; None uses ``val``.
        patch: (H, W) of the training samples, in pixels.
        crop: makes the transform that cuts a patch, from its ``size``.
        augmentation: transforms of the patch, applied in this order.
        time_reversal: use the negated offsets in half of the draws, as if the clip ran backwards.
            The frame to restore stays the same.
        batch_size: samples per optimizer step, over all processes and accumulated batches.
        device_batch_size: maximum number of samples in one forward pass of a process, which
            accumulates gradients over as many batches as its share of ``batch_size`` needs. None:
            no limit.
        eval_batch_size: samples per validation or test batch; 1 where frames differ in size.
        workers: processes that prepare batches; 0 prepares them in the training process.
        seed: seed of shuffling and augmentation.
        root: folder of the data set, if there is one; the sources' own roots refer to it.

    Raises:
        UserError: ``root`` does not exist.
    """

    def __init__(
        self,
        *,
        frame_offsets: Sequence[int],
        flow_offsets: Sequence[int],
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
        self.frame_offsets, self.flow_offsets = tuple(frame_offsets), tuple(flow_offsets)
        self.sources: dict[str, Source] = {"train": train, "val": val, "test": test or val}
        self.transforms: tuple[Transform, ...] = (crop(size=patch), *augmentation)
        self.time_reversal, self.seed = time_reversal, seed
        self.batch_size, self.device_batch_size = batch_size, device_batch_size
        self.eval_batch_size, self.workers = eval_batch_size, workers

    def accumulated(self, processes: int) -> int:
        """Number of batches that a process accumulates per step to keep ``device_batch_size``.

        Args:
            processes: number of processes that share ``batch_size``.

        Raises:
            UserError: ``batch_size`` is not a multiple of ``processes``.
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
        return self.sources[split].open(self.frame_offsets, self.flow_offsets)

    def _open_reversed(self) -> SampleSequence:
        frames, flows = (
            tuple(-offset for offset in offsets)
            for offsets in (self.frame_offsets, self.flow_offsets)
        )
        return self.sources["train"].open(frames, flows)

    def prepare_data(self) -> None:
        """Lightning's hook, on one process per node: render or check what the sources need."""
        opened = {split: self.open(split) for split in self.sources}
        for split in ("val", "test"):
            demand_separate(split, opened[split], opened["train"])
        if self.time_reversal:
            self._open_reversed()

    def train_dataloader(self) -> DataLoader[Sample]:
        """Lightning's hook: the batches from the trainer's current step to its last one."""
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
        # Shares without repeats; process 0 has the first frames, which are shown as images.
        share = np.array_split(np.arange(len(samples)), world)[rank].tolist()
        return DataLoader(
            Subset(samples, share),
            batch_size=self.eval_batch_size,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=collate,
        )
