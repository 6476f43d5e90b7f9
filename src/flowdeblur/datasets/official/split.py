"""A split of a published data set of videos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from flowdeblur.datasets.clips import Clip, ClipChoice, FrameSequence
from flowdeblur.datasets.folders import FrameFolders
from flowdeblur.datasets.official.whole import demand_whole
from flowdeblur.datasets.published import Published
from flowdeblur.errors import UserError


@dataclass(frozen=True)
class OfficialSplit(ClipChoice, ABC):
    """A split of a data set of videos.

    What is trained on may be a part of the published clips. What is scored may not, unless its
    clips are named: then they are taken as they are. If names are left out, the rest must be whole,
    as far as it is known by name.

    Attributes:
        root: folder of the data set.
        split: which of the published ones.
    """

    root: str
    split: str

    splits: ClassVar[Mapping[str, Published]]
    one_folder: ClassVar[bool] = False
    """Whether all splits are in one folder, distinguished by the names of their clips."""

    def __post_init__(self) -> None:
        if self.split not in self.splits:
            raise UserError(f"split: expected {' or '.join(self.splits)}, got {self.split!r}")

    @property
    @abstractmethod
    def layout(self) -> tuple[str, str]:
        """Patterns of the folders with blurry and with sharp frames, below the root."""

    @property
    def published(self) -> Published | None:
        """What the authors say is in the split, of the clips that are taken here."""
        return self.splits[self.split].among(self.clips, self.exclude)

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> FrameSequence:
        """Find the clips and compare their names, numbers and sizes.

        Raises:
            UserError: the root is missing or contains no clips, clips or frames to be scored are
                missing, or blurry and sharp frames do not belong together.
        """
        scored = self.split != "train"
        clips = self._folders(complete=scored).pairs()
        if scored and self.clips is None and self.published is not None:
            place = f"{self.root}: split {self.split}"
            demand_whole(place, clips, self.published, ", or name the clips that you have (clips)")
        return self.sequence(clips, frame_offsets)

    def listing(self) -> list[Clip]:
        """List the clips as they are; frames may be missing, even all of one kind.

        Raises:
            UserError: the root is missing.
        """
        return self._folders(complete=False).listing()

    def _folders(self, *, complete: bool) -> FrameFolders:
        clips, exclude, published = self.clips, list(self.exclude), self.published
        if self.one_folder:
            complete = complete or self.split != "train"
            others = (each for name, each in self.splits.items() if name != self.split)
            exclude += [clip for other in others for clip in other.lengths or ()]
        if clips is None and complete and published is not None and published.lengths is not None:
            clips = list(published.lengths)
        return FrameFolders(
            self.root,
            *self.layout,
            clips=clips,
            exclude=exclude,
            last_frame=self.last_frame,
            first=self.first,
            every=self.every,
        )
