"""Rendered records on disk, mapped into memory.

A cache is one ``.npy`` file, an array of records, written atomically. When two processes render the
same scenes, the second to finish discards its copy.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flowdeblur.errors import UserError
from flowdeblur.scenes.parallel import in_parallel

RecordArray = np.ndarray[tuple[int], np.dtype[np.void]]


class CachedRecords:
    """The records of a cache file, mapped read-only; a pickled copy maps the file again.

    Args:
        path: the file.
        kind: what its records must look like.
        count: how many there must be.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or not of that kind.
    """

    def __init__(self, path: Path, kind: np.dtype[np.void], count: int) -> None:
        # Refuses pickled objects and, as the mapping fails, files shorter than their header says.
        records: RecordArray = np.lib.format.open_memmap(path, mode="r")
        if records.dtype != kind or records.shape != (count,):
            raise ValueError(f"{path} does not hold {count} scenes of the kind expected")
        self._origin = (path, kind, count)
        self._records = records

    def __reduce__(self) -> tuple[type[CachedRecords], tuple[Path, np.dtype[np.void], int]]:
        return CachedRecords, self._origin

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> np.void:
        record: np.void = self._records[index]
        return record


def cached(
    path: Path, kind: np.dtype[np.void], count: int, render: Callable[[int], np.void]
) -> CachedRecords:
    """Open a cache file; render it first if it is missing or damaged.

    Args:
        path: where the file is, or will be.
        kind: type of a record.
        count: number of records.
        render: returns the record of a number; called from several threads.

    Raises:
        UserError: the folder cannot be written to, or is full.
    """
    try:
        return CachedRecords(path, kind, count)
    except (FileNotFoundError, ValueError):
        pass
    except OSError as error:
        raise _unusable(path.parent, error) from error
    try:
        _render_file(path, kind, count, render)
        return CachedRecords(path, kind, count)
    except OSError as error:
        raise _unusable(path.parent, error) from error


def _render_file(
    path: Path, kind: np.dtype[np.void], count: int, render: Callable[[int], np.void]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-", suffix=".partial")
    partial = Path(name)
    try:
        # Written, not mapped: a full disk makes a write fail, but a mapping crash (SIGBUS).
        with os.fdopen(handle, "wb") as file:
            header: dict[str, Any] = {
                "descr": np.lib.format.dtype_to_descr(kind),
                "fortran_order": False,
                "shape": (count,),
            }
            np.lib.format.write_array_header_1_0(file, header)
            for record in in_parallel(render, count):
                file.write(record.tobytes())
            file.flush()
            os.fsync(file.fileno())
        _publish(partial, path, kind, count)
    finally:
        partial.unlink(missing_ok=True)


def _publish(partial: Path, path: Path, kind: np.dtype[np.void], count: int) -> None:
    """Rename the file, unless another process was faster: its file may be in use already."""
    try:
        CachedRecords(path, kind, count)
    except (FileNotFoundError, ValueError):
        partial.replace(path)


def _unusable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot store scenes in {folder} ({error.strerror or error}): free disk space, or set "
        "the data's `cache` to another folder, or to null to render on the fly"
    )
