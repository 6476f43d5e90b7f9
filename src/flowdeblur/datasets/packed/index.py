"""The index of packed frames: which clips there are, and in which files.

A packed folder holds

    index.json              this index, written last
    <clip>.blurry.npy       (N, 3, H, W) uint8 RGB, the blurry frames of a clip
    <clip>.sharp.npy        the same for the sharp frames

The files are plain arrays: ``numpy.load(path, mmap_mode="r")`` opens them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from flowdeblur.errors import UserError
from flowdeblur.files import sha256

INDEX = "index.json"
FORMAT = "flowdeblur packed frames 1"


@dataclass(frozen=True)
class Shard:
    """A file with the blurry or the sharp frames of a clip.

    Attributes:
        file: its name.
        bytes: its size.
        sha256: digest of its content.
    """

    file: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Measure a file."""
        return cls(path.name, path.stat().st_size, sha256(path))


@dataclass(frozen=True)
class PackedEntry:
    """A clip in the index.

    Attributes:
        name: of the clip.
        size: (H, W) of its frames.
        frames: their names, in order.
        blurry: where the blurry frames are.
        sharp: where the sharp frames are.
    """

    name: str
    size: tuple[int, int]
    frames: list[str]
    blurry: Shard
    sharp: Shard

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of both arrays."""
        return (len(self.frames), 3, *self.size)


def to_json(entries: list[PackedEntry]) -> str:
    """Write an index."""
    clips = [asdict(entry) for entry in entries]
    return json.dumps({"format": FORMAT, "clips": clips}, indent=1) + "\n"


def from_json(text: str | bytes, place: str) -> list[PackedEntry]:
    """Read an index.

    Args:
        text: its content.
        place: where it stands, for messages.

    Raises:
        UserError: it is damaged, or of another format.
    """
    try:
        content = json.loads(text)
        found = content["format"]
        entries = [
            PackedEntry(
                clip["name"],
                (int(clip["size"][0]), int(clip["size"][1])),
                [str(name) for name in clip["frames"]],
                Shard(**clip["blurry"]),
                Shard(**clip["sharp"]),
            )
            for clip in content["clips"]
        ]
    except (ValueError, KeyError, TypeError, IndexError):
        raise UserError(f"{place}: is damaged or no index; pack the frames again") from None
    if found != FORMAT:
        raise UserError(f"{place}: is of format {found!r}, not {FORMAT!r}; pack the frames again")
    for entry in entries:
        for shard in (entry.blurry, entry.sharp):
            if Path(shard.file).name != shard.file:  # an index from elsewhere must not reach out
                raise UserError(f"{place}: {shard.file} is no plain file name; pack again")
    return entries
