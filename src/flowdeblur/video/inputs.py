"""What the user names as input, as clips."""

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


@dataclass(frozen=True, slots=True)
class InputClip:
    """A clip to restore.

    Attributes:
        path: a video or a folder; of pictures given one by one the first.
        pictures: those, in order.
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
            rate: frames a second, of pictures; 30 without a choice.

        Raises:
            UserError: it cannot be read as a clip, or a video is given a rate.
        """
        if self.is_video:
            if rate is not None:
                raise UserError("--fps: a video keeps its own frame rate; leave --fps out")
            return VideoReader(self.path)
        return ImageReader(self.path, self.images or list_images(self.path), rate or _RATE)


def find_sources(names: Iterable[str]) -> list[InputClip]:
    """Find the clips that names stand for, in their order.

    Every video and every folder is a clip; pictures given one by one are a clip together.

    Args:
        names: files, folders, and patterns as of a shell, where the shell has left them alone.

    Raises:
        UserError: a file is missing or of an unknown kind; a pattern fits nothing; pictures stand
            beside videos or folders.
    """
    paths = [path for name in names for path in _matching(name)]
    pictures = tuple(path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file())
    if pictures and len(pictures) < len(paths):
        raise UserError(
            f"{pictures[0]}: a picture beside videos or folders; restore them by another command"
        )
    return [InputClip(pictures[0], pictures)] if pictures else [InputClip(path) for path in paths]


def _matching(name: str) -> list[Path]:
    path = Path(name)
    paths = [path] if path.exists() else _fitting(name)
    for each in paths or [path]:
        if not each.exists():
            raise UserError(f"{each}: no such file or folder; check the name")
        if not each.is_dir() and each.suffix.lower() not in (*VIDEO_SUFFIXES, *SUFFIXES):
            known = ", ".join((*VIDEO_SUFFIXES, *SUFFIXES))
            raise UserError(f"{each}: unknown suffix; name a folder or one of {known}")
    return sorted(paths, key=lambda each: (str(each.parent), natural_order(each)))


def _fitting(pattern: str) -> list[Path]:
    # Path.glob takes no absolute patterns.
    return [Path(each) for each in glob.glob(pattern, recursive=True)]  # noqa: PTH207
