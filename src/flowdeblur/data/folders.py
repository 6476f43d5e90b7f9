"""Clips as folders of pictures: blurry frames in one, their sharp versions in another.

A blurry frame and its sharp version have the same name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from flowdeblur.data.neighbours import neighbour
from flowdeblur.data.sample import Sample
from flowdeblur.errors import UserError
from flowdeblur.pictures import list_pictures, picture_size, read_picture


@dataclass(frozen=True)
class FrameFolders:
    """All clips below a folder.

    Attributes:
        root: the folder.
        blurry: pattern of the folders with blurry frames, below ``root``; its one ``*`` is the name
            of a clip.
        sharp: the same for the sharp frames.
        clips: names of the clips to take; None takes all.
        without: names of clips to leave out.
        last_frame: whether the last frame of a clip is a sample, its predecessor standing in for
            the missing successor; the paper leaves it out.
        every: take one frame in so many, from the first on.
    """

    root: str
    blurry: str = "*/input"
    sharp: str = "*/GT"
    clips: Sequence[str] | None = None
    without: Sequence[str] = ()
    last_frame: bool = True
    every: int = 1

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> FrameSequence:
        """Find the clips and compare their names, numbers and sizes.

        Frames are decoded when they are asked for.

        Raises:
            UserError: the root is missing or holds no clips, or blurry and sharp frames do not
                belong together.
        """
        return FrameSequence(
            [self._clip(name) for name in self._names()], frame_offsets, self.last_frame, self.every
        )

    def _names(self) -> list[str]:
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; set data.root to the folder of the data set")
        before, _, after = self.blurry.partition("*")
        found = sorted(
            each.relative_to(root).as_posix().removeprefix(before).removesuffix(after)
            for each in root.glob(self.blurry)
            if each.is_dir()
        )
        if self.clips is not None:
            missing = sorted(set(self.clips) - set(found))
            if missing:
                raise UserError(
                    f"{root}: {len(missing)} of {len(self.clips)} clips are missing, "
                    f"{missing[0]} for one; looked for {self.blurry}"
                )
            found = [name for name in found if name in self.clips]
        names = [name for name in found if name not in self.without]
        if not names:
            raise UserError(f"{root}: holds no clips; looked for {self.blurry}; set data.root")
        return names

    def _clip(self, name: str) -> Clip:
        root = Path(self.root).expanduser()
        blurry, sharp = (
            list_pictures(root / pattern.replace("*", name))
            for pattern in (self.blurry, self.sharp)
        )
        pairs = {each.stem: each for each in sharp}
        for path in blurry:
            if path.stem not in pairs:
                raise UserError(f"{path}: has no sharp frame of this name in {sharp[0].parent}")
        if len(sharp) != len(blurry):
            raise UserError(
                f"{sharp[0].parent}: holds {len(sharp)} frames, "
                f"but {blurry[0].parent} holds {len(blurry)}"
            )
        sharp = [pairs[path.stem] for path in blurry]
        size = picture_size(blurry[0])
        for path in (*blurry, *sharp):
            if picture_size(path) != size:
                raise UserError(
                    f"{path}: is {'x'.join(map(str, picture_size(path)))} pixels, but the clip "
                    f"began with {'x'.join(map(str, size))}; frames of a clip must have one size"
                )
        return Clip(name, blurry, sharp)


@dataclass(frozen=True)
class Clip:
    """A clip's files, in order."""

    name: str
    blurry: list[Path]
    sharp: list[Path]


class FrameSequence:
    """Samples of clips, one a frame."""

    def __init__(
        self, clips: Sequence[Clip], frame_offsets: tuple[int, ...], last_frame: bool, every: int
    ) -> None:
        self._clips, self._offsets, self._every = list(clips), frame_offsets, every
        counts = [len(range(0, len(clip.blurry) - (not last_frame), every)) for clip in clips]
        self._starts = [0, *accumulate(counts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._starts, index) - 1
        clip, frame = self._clips[number], (index - self._starts[number]) * self._every
        count = len(clip.blurry)
        wanted = [clip.blurry[neighbour(frame, offset, count)] for offset in self._offsets]
        return {
            "frames": torch.stack([_read(path) for path in wanted]),
            "sharp": _read(clip.sharp[frame]),
            "key": f"{clip.name}/{clip.blurry[frame].stem}",
        }


def _read(path: Path) -> Tensor:
    picture = read_picture(path)
    if picture.dtype.itemsize != 1:
        raise UserError(f"{path}: has 16 bits a channel; convert training frames to 8 bits")
    return torch.from_numpy(picture).permute(2, 0, 1)
