"""Samples whose frames are views of mapped files: a crop touches the pages that it needs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flowdeblur.datasets.clips import ClipChoice, FrameSequence
from flowdeblur.datasets.packed.index import INDEX, PackedEntry, Shard, from_json
from flowdeblur.datasets.packed.remote import fetch, mirror
from flowdeblur.errors import UserError
from flowdeblur.files import demand_regular


@dataclass(frozen=True)
class PackedFrames(ClipChoice):
    """Clips that ``flowdeblur data pack`` wrote.

    Attributes:
        root: the folder, or its address on a server, as https://... or s3://... .
        cache: folder for what is fetched from a server.
    """

    root: str
    cache: str = "~/.cache/flowdeblur/packed"

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> FrameSequence:
        """Map the files of the chosen clips; fetch them first, if they are on a server.

        Raises:
            UserError: the folder contains no packed frames, not these clips, or damaged files.
            RuntimeFailureError: the server cannot be reached, or sends something else.
        """
        remote = "://" in self.root
        folder = Path(self.root).expanduser()
        if remote:
            folder = mirror(self.root, Path(self.cache).expanduser())
        entries = self._chosen(self._read_index(folder))
        if remote:
            shards = [shard for entry in entries for shard in (entry.blurry, entry.sharp)]
            fetch(self.root, shards, folder)
        clips = [PackedClip(folder, entry) for entry in entries]
        for clip in clips:
            clip.check()
        return self.sequence(clips, frame_offsets)

    def _read_index(self, folder: Path) -> list[PackedEntry]:
        path = folder / INDEX
        demand_regular(path)
        try:
            return from_json(path.read_bytes(), str(path))
        except OSError:
            raise UserError(
                f"{path}: no such file; set data.root to a folder that `flowdeblur data pack` wrote"
            ) from None

    def _chosen(self, entries: list[PackedEntry]) -> list[PackedEntry]:
        wanted = self.among([entry.name for entry in entries], self.root, "clip")
        return [entry for entry in entries if entry.name in wanted]


@dataclass(frozen=True)
class PackedClip:
    """A clip in mapped files; a copy in another process maps them again.

    Attributes:
        folder: where the files are.
        entry: the clip in the index.
    """

    folder: Path
    entry: PackedEntry

    @property
    def name(self) -> str:
        """Of the clip."""
        return self.entry.name

    @property
    def names(self) -> list[str]:
        """Names of the frames, in order."""
        return self.entry.frames

    @property
    def files(self) -> frozenset[str]:
        """Both arrays, with symbolic links resolved."""
        shards = (self.entry.blurry, self.entry.sharp)
        return frozenset(os.path.realpath(self.folder / shard.file) for shard in shards)

    def check(self) -> None:
        """See that the files are there and of the right size; their digests are not computed.

        Raises:
            UserError: names the file that is not.
        """
        for shard in (self.entry.blurry, self.entry.sharp):
            path = self.folder / shard.file
            have = path.stat().st_size if path.exists() else 0
            if have != shard.bytes:
                raise UserError(
                    f"{path}: has {have} bytes instead of {shard.bytes}; copy it again, or pack "
                    "the frames again"
                )

    def read_blurry(self, names: Sequence[str]) -> Tensor:
        """Blurry frames (T, 3, H, W) uint8: a view if they follow one another, else a copy."""
        numbers = [self._numbers[name] for name in names]
        first, count = numbers[0], len(numbers)
        if numbers == list(range(first, first + count)):
            return self._blurry[first : first + count]
        return self._blurry[numbers]

    def read_sharp(self, name: str) -> Tensor:
        """A sharp frame (3, H, W) uint8, as a view."""
        return self._sharp[self._numbers[name]]

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "entry": self.entry}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.entry.frames)}

    @cached_property
    def _blurry(self) -> Tensor:
        return self._map(self.entry.blurry)

    @cached_property
    def _sharp(self) -> Tensor:
        return self._map(self.entry.sharp)

    def _map(self, shard: Shard) -> Tensor:
        path = self.folder / shard.file
        try:
            # Refuses pickled objects. Copy on write: PyTorch warns of read-only memory, and
            # nothing is ever written.
            array = np.lib.format.open_memmap(path, mode="c")
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be mapped ({error}); copy or pack it again") from None
        if array.shape != self.entry.shape or array.dtype != np.uint8:
            raise UserError(
                f"{path}: contains {array.dtype} of {array.shape}, not uint8 of "
                f"{self.entry.shape}; copy or pack it again"
            )
        return torch.from_numpy(array)
