"""Outputs that are written atomically, and inputs that are regular files."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowdeblur.errors import UserError

_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_PARTIAL = re.compile(r"\.[0-9a-f]{8}\.partial-([0-9a-f]{8})-(\d+)(\.[^.]*)?")
_ABANDONED_S = 7 * 24 * 3600
"""Age after which partial files of another host are removed; nothing else shows that they are."""


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Lend a temporary name next to ``path`` to write a file under, then rename it to ``path``.

    The suffix is kept, because encoders choose the format by it. An existing file at ``path`` stays
    as it is until the rename.

    Args:
        path: the file.
        overwrite: whether a file that exists at the end is replaced.

    Yields:
        The temporary name, of a file that does not exist yet.

    Raises:
        UserError: ``path`` has appeared meanwhile, and ``overwrite`` is false.
        BaseException: whatever the body raised (Ctrl-C too), after the partial file is removed.
    """
    partial = _temporary(path)
    try:
        yield partial
        if overwrite:
            partial.replace(path)
        else:
            _rename_to_new(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Lend a temporary folder next to ``folder`` to write files into, then rename it to ``folder``.

    Where ``folder`` exists already, the new files move into it one by one: files of the same name
    are replaced and all others stay.

    Yields:
        The temporary folder, empty.

    Raises:
        BaseException: whatever the body raised, after the partial folder is removed.
    """
    partial = _temporary(folder)
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
    """Write a whole file atomically."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a whole file atomically.

    Args:
        path: the file.
        content: all of it.
        durable: whether to wait until it is on the disk, so that it survives a power failure.

    Raises:
        OSError: the disk is full, the folder is read-only, ...; nothing is left behind.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def demand_regular(path: Path) -> None:
    """Check that a file, if it exists, can be read to its end.

    Raises:
        UserError: it is a folder, a pipe, a device or the like, whose reading might never end.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise UserError(f"{path}: is {kind}; name a regular file")


def sha256(path: Path) -> str:
    """Digest a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rename_to_new(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)  # unlike a rename, fails where the name is taken
    except FileExistsError:
        message = "another command has written it meanwhile; run again with another OUT"
        raise UserError(f"{path}: {message}") from None
    except OSError:  # a file system without links
        partial.replace(path)


def _temporary(path: Path) -> Path:
    """A name next to ``path`` that no other process uses, and that is not longer than allowed."""
    remove_leftovers(path.absolute().parent)
    name, suffix = f"{zlib.crc32(os.fsencode(path.name)):08x}", path.suffix
    return path.with_name(
        f".{name}.partial-{_HOST}-{os.getpid()}{suffix if len(suffix) < 16 else ''}"
    )


@functools.cache
def remove_leftovers(folder: Path) -> None:
    """Remove partial files of processes that were killed; once per process and folder."""
    with suppress(OSError):  # not readable: the caller reports what matters
        for path in folder.iterdir():
            found = _PARTIAL.fullmatch(path.name)
            if found and _is_leftover(path, found[1], int(found[2])):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_leftover(path: Path, host: str, process: int) -> bool:
    if host != _HOST:
        return path.stat().st_mtime < time.time() - _ABANDONED_S
    if process == os.getpid():
        return True  # of an earlier process with this number: this one has written nothing here
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it belongs to another user
        return False
    return False
