"""Chooses the output of a clip: a video, a folder of images or an image; nothing gets lost."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from flowdeblur.errors import UserError
from flowdeblur.video.clip import FrameReader, Sink
from flowdeblur.video.codecs import CODECS, H264, Encoding
from flowdeblur.video.images import SUFFIXES
from flowdeblur.video.inputs import InputClip
from flowdeblur.video.journal import Journal, is_unfinished
from flowdeblur.video.writer import (
    check_suffix,
    writing_image,
    writing_images,
    writing_video,
)


class Output(Protocol):
    """Where a clip's restored frames go.

    Attributes:
        path: the file or folder.
    """

    path: Path

    def begin(self, origin: str) -> Collection[str]:
        """Get ready, and say which frames need not be restored.

        Args:
            origin: what the frames are made of, see :func:`flowdeblur.video.journal.origin`.

        Returns:
            Their names.

        Raises:
            UserError: the output was begun with another origin.
        """
        ...

    def writing(self) -> AbstractContextManager[Sink]:
        """Open the output, see :mod:`flowdeblur.video.writer`."""
        ...


@dataclass
class VideoOutput:
    """A video file."""

    path: Path
    reader: FrameReader
    encoding: Encoding
    source: Path | None
    overwrite: bool

    def begin(self, origin: str) -> Collection[str]:
        """See :class:`Output`."""
        return ()

    def writing(self) -> AbstractContextManager[Sink]:
        """See :class:`Output`."""
        size, video_format = self.reader.size, self.reader.format
        return writing_video(
            self.path,
            size,
            video_format,
            encoding=self.encoding,
            source=self.source,
            overwrite=self.overwrite,
        )


@dataclass
class FolderOutput:
    """A folder of PNG files, which an interrupted command can resume."""

    path: Path
    overwrite: bool
    _journal: Journal | None = field(default=None, init=False)

    def begin(self, origin: str) -> Collection[str]:
        """See :class:`Output`."""
        self._journal = Journal(self.path, origin, anew=self.overwrite)
        return frozenset(self._journal.done)

    def writing(self) -> AbstractContextManager[Sink]:
        """See :class:`Output`."""
        assert self._journal, "begin() comes first"
        return writing_images(self._journal)


@dataclass
class ImageOutput:
    """One image, of the first frame."""

    path: Path
    others: Collection[str]

    def begin(self, origin: str) -> Collection[str]:
        """See :class:`Output`."""
        return self.others

    def writing(self) -> AbstractContextManager[Sink]:
        """See :class:`Output`."""
        return writing_image(self.path)


def choose_encoding(codec: str | None, crf: int | None, preset: str | None) -> Encoding:
    """Find the codec of a name; H.264 without one.

    Raises:
        UserError: no codec has this name, or it has no such setting.
    """
    by_name = {each.name: each for each in CODECS}
    if codec is not None and codec not in by_name:
        raise UserError(f"--codec {codec}: choose one of {', '.join(by_name)}")
    return Encoding(by_name[codec or H264.name], crf, preset)


def choose_output(
    name: str, source: InputClip, reader: FrameReader, encoding: Encoding, *, overwrite: bool
) -> Output:
    """Choose the output by its name and the clip, after seeing that nothing gets lost.

    Args:
        name: of a file or folder; a folder that is missing has no suffix or ends in a slash.
        source: the clip.
        reader: of the clip.
        encoding: of a video.
        overwrite: whether what is there may be replaced.

    Raises:
        UserError: the clip cannot go there, or something else is there.
    """
    path, suffix = Path(name), Path(name).suffix.lower()
    is_folder = path.is_dir() or not suffix or name.endswith(os.sep)
    check_free(path, [source.path, *reader.files], overwrite=overwrite)
    if is_folder:
        if path.is_file():
            raise UserError(f"{path}: is a file; name a folder, or a file with a suffix")
        if path.resolve() in (each.resolve().parent for each in source.images):
            raise UserError(f"{path}: contains IN itself; name another folder as OUT")
        return FolderOutput(path, overwrite)
    if suffix in SUFFIXES:
        if not 1 <= len(source.images) <= 2:
            raise UserError(
                f"{path}: a single image cannot contain a clip; name a video or a folder"
            )
        return ImageOutput(path, [each.stem for each in source.images[1:]])
    if len(source.images) == 1:
        known = ", ".join(SUFFIXES)
        raise UserError(
            f"{path}: a single image can only be written as an image; name a folder or one of "
            f"{known}"
        )
    check_suffix(path, encoding)
    tracks = source.path if source.is_video else None
    return VideoOutput(path, reader, encoding, tracks, overwrite)


def collect(
    folder: Path, sources: Sequence[InputClip], encoding: Encoding
) -> dict[Path, InputClip]:
    """Name an output in ``folder`` for each clip: videos as videos, folders as folders.

    Raises:
        UserError: two clips have the same name, one is in ``folder`` itself, or that cannot be
            made.
    """
    if folder.is_file() or folder.suffix.lower() in (*SUFFIXES, *encoding.codec.suffixes):
        raise UserError(f"{folder}: several IN need a folder as OUT; name one")
    _check_parent(folder)
    targets: dict[Path, InputClip] = {}
    for source in sources:
        name = source.path.resolve().name
        if source.is_video and source.path.suffix.lower() not in encoding.codec.suffixes:
            # Matroska holds what other containers held beside the images.
            name = f"{source.path.stem}{encoding.codec.suffixes[-1]}"
        path = folder / name
        if path.resolve() == source.path.resolve():
            raise UserError(f"{path}: is IN itself; name another folder as OUT")
        if path in targets:
            raise UserError(
                f"{source.path}: {targets[path].path} would become {path}, too; rename one"
            )
        targets[path] = source
    return targets


def is_finished(path: Path) -> bool:
    """Whether an output is there, and complete."""
    if path.is_dir():
        return any(path.iterdir()) and not is_unfinished(path)
    return path.exists()


def check_free(path: Path, inputs: Iterable[Path], *, overwrite: bool, option: str = "OUT") -> None:
    """Check that a path can be written and replaces nothing unasked.

    Args:
        path: of a file or folder.
        inputs: what is read.
        overwrite: whether what is there may be replaced.
        option: what names the path.

    Raises:
        UserError: it cannot.
    """
    if path.resolve() in (each.resolve() for each in inputs):
        raise UserError(f"{path}: is IN itself; name another {option}")
    _check_parent(path, option)
    if is_finished(path) and not overwrite:
        raise UserError(f"{path}: exists already; name another {option} or pass --overwrite")


def _check_parent(path: Path, option: str = "OUT") -> None:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise UserError(f"{parent}: no such folder; create it")
    if not os.access(parent, os.W_OK):
        raise UserError(f"{parent}: cannot be written to; name another {option}")
