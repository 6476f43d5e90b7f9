"""What commands that write one file check before they start, and say when writing fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowdeblur.errors import RuntimeFailureError, UserError


def check_output(path: Path, suffixes: tuple[str, ...], *, overwrite: bool) -> None:
    """See that a file can be written and that nothing gets lost.

    Args:
        path: the file to write.
        suffixes: those that it may have, in lower case.
        overwrite: whether an existing file may be replaced.

    Raises:
        UserError: one line that names the remedy.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{path}: unknown suffix; name a file with {' or '.join(suffixes)}")
    parent = path.absolute().parent
    if not parent.is_dir():
        raise UserError(f"{parent}: no such folder; create it")
    if not os.access(parent, os.W_OK):
        raise UserError(f"{parent}: cannot be written to; name another OUT")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name another OUT")
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists already; name another OUT or pass --overwrite")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors into one line about the output.

    Raises:
        RuntimeFailureError: the disk is full, ...; an existing file stays as it was.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RuntimeFailureError(
            f"{path}: cannot be written ({reason}); nothing was changed"
        ) from None
