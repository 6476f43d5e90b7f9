"""Finds the clips that the user names as input."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from flowdeblur.errors import UserError
from flowdeblur.video.clip import FrameReader
from flowdeblur.video.images import SUFFIXES, list_images, natural_order
from flowdeblur.video.reader import VIDEO_SUFFIXES, ImageReader, VideoReader

_RATE = Fraction(30)
_LIMITS = Fraction(1, 1000), Fraction(1000)
_LARGEST_DENOMINATOR = 1001
"""As in 30000/1001. Encoders store a rate as two numbers of 31 bits."""


@dataclass(frozen=True, slots=True)
class InputClip:
    """A clip to restore.

    Attributes:
        path: a video or a folder; the first of images that are given one by one.
        images: those, in order.
    """

    path: Path
    images: tuple[Path, ...] = ()

    @property
    def is_video(self) -> bool:
        """Whether it is a video file."""
        return not self.images and not self.path.is_dir()

    def open(self, rate: Fraction | None) -> FrameReader:
        """Open it.

        Args:
            rate: frames per second of images, rounded to a denominator of at most 1001; 30 without
                a choice.

        Raises:
            UserError: it cannot be read as a clip, the rate is out of range, or a video is given
                a rate.
        """
        if self.is_video:
            if rate is not None:
                raise UserError("--fps: a video keeps its own frame rate; leave --fps out")
            return VideoReader(self.path)
        if rate is not None and not _LIMITS[0] <= rate <= _LIMITS[1]:
            given = float(min(rate, Fraction(10**9)))  # a float cannot hold every fraction
            raise UserError(f"--fps {given:g}: must be from 0.001 to 1000")
        rate = (rate or _RATE).limit_denominator(_LARGEST_DENOMINATOR)
        return ImageReader(self.path, self.images or list_images(self.path), rate)


def find_sources(names: Iterable[str]) -> list[InputClip]:
    """Find the clips that names stand for, in their order.

    Every video and every folder is a clip; images given one by one are one clip together.

    Args:
        names: files, folders, and quoted shell patterns.

    Raises:
        UserError: a file is missing or of an unknown kind; a pattern matches nothing; images are
            mixed with videos or folders.
    """
    paths = [path for name in names for path in _matching(name)]
    images = tuple(path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file())
    if images and len(images) < len(paths):
        raise UserError(
            f"{images[0]}: an image among videos or folders; restore them by another command"
        )
    return [InputClip(images[0], images)] if images else [InputClip(path) for path in paths]


def _matching(name: str) -> list[Path]:
    path = Path(name)
    paths = [path] if _exists(path) else _fitting(name)
    for each in paths or [path]:
        if not _exists(each):
            raise UserError(f"{each}: no such file or folder; check the name")
        if not each.is_dir() and each.suffix.lower() not in (*VIDEO_SUFFIXES, *SUFFIXES):
            known = ", ".join((*VIDEO_SUFFIXES, *SUFFIXES))
            raise UserError(f"{each}: unknown suffix; name a folder or one of {known}")
    return sorted(paths, key=lambda each: (str(each.parent), natural_order(each)))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None


def _fitting(pattern: str) -> list[Path]:
    # Path.glob does not accept absolute patterns.
    return [Path(each) for each in glob.glob(pattern, recursive=True)]  # noqa: PTH207
