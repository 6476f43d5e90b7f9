"""What the authors of a data set say is in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

Size = tuple[int, int]
"""(rows, columns)."""


@dataclass(frozen=True)
class Published:
    """One split of a data set as its authors published it.

    Attributes:
        clips: number of clips; for single images, of images.
        frames: number of pairs.
        archive: the file that contains them.
        home: page to download it from.
        lengths: frames of each clip by its name; None where the names were not published.
        size: rows and columns of a frame, where all have the same but for being upright.
    """

    clips: int
    frames: int
    archive: str
    home: str
    lengths: Mapping[str, int] | None = None
    size: Size | None = None

    @classmethod
    def by_name(cls, lengths: Mapping[str, int], archive: str, home: str, size: Size) -> Published:
        """All clips are known by name."""
        return cls(len(lengths), sum(lengths.values()), archive, home, lengths, size)

    def among(self, clips: Collection[str] | None, exclude: Collection[str]) -> Published | None:
        """Of a selection of the clips; None where their names are not known."""
        if clips is None and not exclude:
            return self
        if self.lengths is None:
            return None
        kept = {
            name: length
            for name, length in self.lengths.items()
            if name not in exclude and (clips is None or name in clips)
        }
        return replace(self, clips=len(kept), frames=sum(kept.values()), lengths=kept)
