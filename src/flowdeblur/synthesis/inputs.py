"""The sharp clips of a folder: video files, and folders of images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flowdeblur.errors import UserError
from flowdeblur.files import demand_regular
from flowdeblur.video.clip import FrameReader
from flowdeblur.video.images import SUFFIXES, ImageArray, list_images
from flowdeblur.video.reader import VIDEO_SUFFIXES, ImageReader, VideoReader
from flowdeblur.video.shots import Shots


@dataclass(frozen=True)
class SharpClip:
    """A video file, or a folder of images.

    Attributes:
        name: name of the file without its suffix, or of the folder.
        path: the file or folder.
    """

    name: str
    path: Path

    @property
    def files(self) -> list[Path]:
        """The video, or all images."""
        return list_images(self.path) if self.path.is_dir() else [self.path]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(each.stat().st_size for each in self.files)

    def sha256(self) -> str:
        """SHA-256 digest of the concatenated files."""
        digest = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
        return digest.hexdigest()

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Decode the frames, (H, W, 3) each, in 8 bits.

        Raises:
            UserError: a frame is damaged, or some are missing; there is a cut.
        """
        reader, shot_number = self._reader(), Shots()
        for number, frame in enumerate(reader):
            if frame.damaged:
                raise UserError(
                    f"{frame.file or self.path}: frame {number} is damaged; replace it, or cut out "
                    "the good part"
                )
            if shot_number(frame) > 1:
                raise UserError(
                    f"{self.path}: the scene changes at frame {number}; cut it into clips there"
                )
            yield eight_bits(frame.image)
        if reader.damage:
            raise UserError(f"{self.path}: {reader.damage}; replace it, or cut out the good part")

    def _reader(self) -> FrameReader:
        if self.path.is_dir():
            return ImageReader(self.path, list_images(self.path), Fraction(30))
        return VideoReader(self.path)


def eight_bits(image: ImageArray) -> NDArray[np.uint8]:
    """Round an image with 16 bits per channel to 8."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)


def find_clips(place: Path) -> list[SharpClip]:
    """Find the clips of a folder, by name; a single video or folder of images is one clip.

    Raises:
        UserError: there is none, or two have the same name.
    """
    if not place.exists():
        raise UserError(f"{place}: no such file or folder; name a folder of sharp videos")
    if not place.is_dir():
        demand_regular(place)
        if not _is_video(place):
            raise UserError(f"{place}: not a video; name one of {', '.join(VIDEO_SUFFIXES)}")
        return [SharpClip(place.stem, place)]
    entries = sorted(each for each in place.iterdir() if not each.name.startswith("."))
    if any(_is_image(each) for each in entries):
        return [SharpClip(place.resolve().name, place)]
    clips = [SharpClip(each.stem, each) for each in entries if _is_video(each)]
    clips += [
        SharpClip(each.name, each)
        for each in entries
        if each.is_dir() and any(map(_is_image, each.iterdir()))
    ]
    if not clips:
        raise UserError(f"{place}: no videos and no folders of images found")
    clips.sort(key=lambda clip: clip.name)
    for clip, following in pairwise(clips):
        if clip.name == following.name:
            raise UserError(
                f"{following.path}: has the same name as {clip.path.name}; rename one of them"
            )
    return clips


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.is_file() and not hidden and path.suffix.lower() in SUFFIXES
