"""Clips as files on a disk, and samples read from them."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.neighbours import neighbour
from flowdeblur.types import Sample
from flowdeblur.video.images import image_size, read_image


@dataclass(frozen=True)
class Clip:
    """A clip's files by the name of the frame, in order.

    Attributes:
        name: of the clip.
        folders: folders of the blurry and of the sharp frames.
        blurry: name of a frame to its file.
        sharp: the same for the sharp frames. A frame and its sharp version have one name.
    """

    name: str
    folders: tuple[Path, Path]
    blurry: dict[str, Path]
    sharp: dict[str, Path]

    @property
    def names(self) -> list[str]:
        """Names of the frames, in order."""
        return list(self.blurry)

    @property
    def files(self) -> frozenset[str]:
        """All files, with symbolic links resolved."""
        paths = (*self.blurry.values(), *self.sharp.values())
        return frozenset(map(os.path.realpath, paths))

    def read_blurry(self, names: Sequence[str]) -> Tensor:
        """Decode blurry frames: (T, 3, H, W) uint8."""
        return torch.stack([_read(self.blurry[name]) for name in names])

    def read_sharp(self, name: str) -> Tensor:
        """Decode a sharp frame: (3, H, W) uint8."""
        return _read(self.sharp[name])

    def demand_pairs(self) -> None:
        """Check that the frames come in pairs of one size.

        Raises:
            UserError: names the first file that does not fit.
        """
        for name, path in self.blurry.items():
            if name not in self.sharp:
                raise UserError(
                    f"{path}: has no sharp frame of this name in {self.folders[1]}; "
                    "`flowdeblur data verify` lists all that are missing"
                )
        if len(self.sharp) != len(self.blurry):
            raise UserError(
                f"{self.folders[1]}: contains {len(self.sharp)} frames, "
                f"but {self.folders[0]} contains {len(self.blurry)}; "
                "`flowdeblur data verify` lists which"
            )
        paths = [*self.blurry.values(), *self.sharp.values()]
        size = image_size(paths[0])
        for path in paths:
            if image_size(path) != size:
                raise UserError(
                    f"{path}: is {'x'.join(map(str, image_size(path)))} pixels, but the clip "
                    f"began with {'x'.join(map(str, size))}; frames of a clip must have one size"
                )


class ReadableClip(Protocol):
    """What a sequence of samples needs of a clip; see :class:`Clip`."""

    @property
    def name(self) -> str:
        """Of the clip."""
        ...

    @property
    def names(self) -> list[str]:
        """Names of the frames, in order."""
        ...

    @property
    def files(self) -> Collection[str]:
        """Files that the frames are read from, with symbolic links resolved."""
        ...

    def read_blurry(self, names: Sequence[str], /) -> Tensor:
        """Blurry frames: (T, 3, H, W) uint8."""
        ...

    def read_sharp(self, name: str, /) -> Tensor:
        """A sharp frame: (3, H, W) uint8."""
        ...


class FrameSequence:
    """Samples of clips, one a frame.

    Args:
        clips: their frames come in pairs.
        frame_offsets: the frames of a sample, relative to the one to restore.
        last_frame: whether the last frame of a clip is a sample.
        first: number of the first frame to take, from 0.
        every: take one frame in so many.

    Raises:
        UserError: ``first`` is negative, or ``every`` is not above 0.
    """

    def __init__(
        self,
        clips: Sequence[ReadableClip],
        frame_offsets: tuple[int, ...],
        *,
        last_frame: bool = True,
        first: int = 0,
        every: int = 1,
    ) -> None:
        check_choice(first, every)
        self._clips, self._offsets = [(clip, clip.names) for clip in clips], frame_offsets
        self._first, self._every = first, every
        ends = [len(names) - (not last_frame) for _, names in self._clips]
        self._starts = [0, *accumulate(len(range(first, end, every)) for end in ends)]

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def keys(self) -> list[str]:
        """The samples' keys, without reading them."""
        places = map(self._place, range(len(self)))
        return [f"{clip.name}/{names[frame]}" for clip, names, frame in places]

    def clips_by_file(self) -> dict[str, str]:
        """Map each file that frames are read from to the name of its clip."""
        return {file: clip.name for clip, _ in self._clips for file in clip.files}

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        clip, names, frame = self._place(index)
        wanted = [names[neighbour(frame, offset, len(names))] for offset in self._offsets]
        return {
            "frames": clip.read_blurry(wanted),
            "sharp": clip.read_sharp(names[frame]),
            "key": f"{clip.name}/{names[frame]}",
        }

    def _place(self, index: int) -> tuple[ReadableClip, list[str], int]:
        number = bisect_right(self._starts, index) - 1
        clip, names = self._clips[number]
        return clip, names, self._first + (index - self._starts[number]) * self._every


@dataclass(frozen=True, kw_only=True)
class ClipChoice:
    """Which clips of a data set are opened, and which of their frames are samples.

    Attributes:
        clips: names of the clips to take; None takes all.
        exclude: names of clips to leave out.
        last_frame: whether the last frame of a clip is a sample, its predecessor standing in for
            the missing successor; the paper leaves it out.
        first: number of the first frame of a clip to take, from 0.
        every: take one frame in so many.
    """

    clips: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    last_frame: bool = True
    first: int = 0
    every: int = 1

    def sequence(
        self, clips: Sequence[ReadableClip], frame_offsets: tuple[int, ...]
    ) -> FrameSequence:
        """Samples of the chosen frames of ``clips``."""
        return FrameSequence(
            clips, frame_offsets, last_frame=self.last_frame, first=self.first, every=self.every
        )

    def among(self, names: Sequence[str], root: str, kind: str) -> list[str]:
        """The chosen ones of ``names``.

        Raises:
            UserError: an unknown clip is named, or none is left.
        """
        for name in [*(self.clips or ()), *self.exclude]:
            if name not in names:
                raise UserError(f"{root}: {kind} {name} not found; available: {', '.join(names)}")
        wanted = names if self.clips is None else self.clips
        chosen = [name for name in names if name in wanted and name not in self.exclude]
        if not chosen:
            raise UserError(f"{root}: no {kind}s selected; set `clips` and `exclude` otherwise")
        return chosen


def check_choice(first: int, every: int) -> None:
    """Check which frames are to be taken.

    Args:
        first: number of the first one, from 0.
        every: take one in so many.

    Raises:
        UserError: ``first`` is negative, or ``every`` is not above 0.
    """
    if first < 0:
        raise UserError(f"data.*.first={first}: must be 0 or above; 0 is the first frame")
    if every < 1:
        raise UserError(f"data.*.every={every}: must be 1 or above; 1 takes every frame")


def _read(path: Path) -> Tensor:
    image = read_image(path)
    if image.dtype.itemsize != 1:
        raise UserError(f"{path}: has 16 bits per channel; convert training frames to 8 bits")
    return torch.from_numpy(image).permute(2, 0, 1)
