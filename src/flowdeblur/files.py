"""Outputs that appear complete or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a hidden name beside ``path`` to write a file under, then rename it to ``path``.

    The suffix stays, because encoders choose the format by it. An earlier file at ``path`` stays as
    it is until the rename.

    Yields:
        The temporary name, of a file that does not exist yet.

    Raises:
        BaseException: whatever the body raised (Ctrl-C too), after the partial file is removed.
    """
    partial = _beside(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Lend a hidden folder beside ``folder`` to write files into, then rename it to ``folder``.

    Where ``folder`` exists already, the new files move into it one by one: files of the same name
    are replaced and all others stay.

    Yields:
        The temporary folder, empty.

    Raises:
        BaseException: whatever the body raised, after the partial folder is removed.
    """
    partial = _beside(folder)
    partial.mkdir()
    try:
        yield partial
        if folder.exists():
            for file in partial.iterdir():
                file.replace(folder / file.name)
        else:
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole file beside and rename it."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file beside and rename it, once it is safely on the disk.

    Raises:
        OSError: the disk is full, the folder is read-only, ...; nothing is left behind.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _beside(path: Path) -> Path:
    # The process id lets two runs with the same output end in one of the two, never in a mixture.
    return path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")


def sha256(path: Path) -> str:
    """Digest a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
