"""The index of packed frames: which clips there are, and in which files.

A packed folder contains

    index.json              this index, written last
    <clip>.blurry.npy       (N, 3, H, W) uint8 RGB, the blurry frames of a clip
    <clip>.sharp.npy        the same for the sharp frames

The files are plain arrays: ``numpy.load(path, mmap_mode="r")`` opens them.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from flowdeblur.errors import UserError
from flowdeblur.files import sha256

INDEX = "index.json"
FORMAT = "flowdeblur packed frames 1"

_HEADER = 128
"""Bytes before the pixels, in every file that :func:`flowdeblur.datasets.packed.pack` writes."""


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
        name: clip name.
        size: (H, W) of its frames.
        frames: their names, in order.
        blurry: file of the blurry frames.
        sharp: file of the sharp frames.
    """

    name: str
    size: tuple[int, int]
    frames: list[str]
    blurry: Shard
    sharp: Shard

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the blurry and sharp arrays."""
        return (len(self.frames), 3, *self.size)


def to_json(entries: list[PackedEntry]) -> str:
    """Write an index."""
    clips = [asdict(entry) for entry in entries]
    return json.dumps({"format": FORMAT, "clips": clips}, indent=1) + "\n"


def from_json(text: str | bytes, place: str) -> list[PackedEntry]:
    """Read and check an index.

    Args:
        text: its content.
        place: the file or address that it comes from, for messages.

    Raises:
        UserError: it is damaged, contradicts itself, or is of another format.
    """
    try:
        content = json.loads(text)
        found = content["format"]
        entries = [_entry(clip) for clip in content["clips"]]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{place}: is damaged or not an index; pack the frames again") from None
    if found != FORMAT:
        raise UserError(f"{place}: is of format {found!r}, not {FORMAT!r}; pack the frames again")
    names = [entry.name for entry in entries]
    blurry, sharp = ([getattr(each, kind).file for each in entries] for kind in ("blurry", "sharp"))
    for each in (names, blurry, sharp):  # frames without blur are both
        if twice := [name for name, count in Counter(each).items() if count > 1]:
            raise UserError(f"{place}: lists {twice[0]} twice; pack the frames again")
    for entry in entries:
        for shard in (entry.blurry, entry.sharp):
            if Path(shard.file).name != shard.file:  # an index from elsewhere must not reach out
                raise UserError(f"{place}: {shard.file} is not a plain file name; pack again")
            if shard.bytes != _HEADER + math.prod(entry.shape):
                raise UserError(
                    f"{place}: {shard.file} cannot contain {len(entry.frames)} frames of "
                    f"{entry.size[1]}x{entry.size[0]} in {shard.bytes} bytes; pack the frames again"
                )
    return entries


def _entry(clip: dict[str, Any]) -> PackedEntry:
    height, width = clip["size"]
    frames = clip["frames"]
    if not all(type(each) is int and each > 0 for each in (height, width)):
        raise ValueError
    if not isinstance(clip["name"], str) or not frames or not isinstance(frames, list):
        raise ValueError
    if not all(isinstance(name, str) for name in frames) or len(set(frames)) != len(frames):
        raise ValueError
    shards = [Shard(**clip[kind]) for kind in ("blurry", "sharp")]
    for shard in shards:
        known = isinstance(shard.file, str) and type(shard.bytes) is int
        if not known or not re.fullmatch("[0-9a-f]{64}", shard.sha256):
            raise ValueError
    return PackedEntry(clip["name"], (height, width), frames, *shards)
