"""Packed frames on a server: fetched once, checked by their digests, then mapped as local files.

Everything that is asked for is fetched before the first sample. Shuffled training reads all clips
within its first batches, so that fetching later would not mean fetching less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import filelock
from tqdm import tqdm

from flowdeblur.datasets.packed.index import INDEX, Shard
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.extras import import_extra
from flowdeblur.files import replacing, write_bytes


def mirror(url: str, cache: Path) -> Path:
    """Fetch the index at ``url`` into a folder of its own below ``cache``.

    Returns:
        The folder; its name is the index's digest, so that another pack gets another folder.

    Raises:
        UserError: the protocol needs another library; the cache cannot be written to.
        RuntimeFailureError: the server does not answer, or has no such file.
    """
    system, path = _connect(url)
    try:
        content: bytes = system.cat_file(f"{path}/{INDEX}")
    except Exception as error:  # every protocol has exceptions of its own
        raise _unreachable(f"{url.rstrip('/')}/{INDEX}", error) from error
    folder = cache / hashlib.sha256(content).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / INDEX, content)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def fetch(url: str, shards: Sequence[Shard], folder: Path) -> None:
    """Fetch the files that ``folder`` does not have yet; a call that was cut short goes on.

    Raises:
        UserError: ``folder`` cannot be written to.
        RuntimeFailureError: the server does not answer, or sends something else than the index
            tells.
    """
    system, path = _connect(url)
    try:
        with filelock.FileLock(folder / ".lock"):  # another process may want the same
            for left in folder.glob(".*.partial-*"):  # of a process that was killed
                left.unlink()
            missing = [shard for shard in shards if not (folder / shard.file).exists()]
            for shard in tqdm(missing, "fetching", unit="file", disable=None):
                with replacing(folder / shard.file) as partial:
                    try:
                        system.get_file(f"{path}/{shard.file}", str(partial))
                    except Exception as error:  # as above
                        raise _unreachable(f"{url.rstrip('/')}/{shard.file}", error) from error
                    if Shard.of(partial).sha256 != shard.sha256:
                        raise RuntimeFailureError(
                            f"{url.rstrip('/')}/{shard.file}: is not what its index tells; start "
                            "again, or upload it again"
                        )
    except OSError as error:
        raise _unwritable(folder, error) from error


def _connect(url: str) -> tuple[Any, str]:
    fsspec = import_extra("fsspec", "remote")
    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise UserError(f"data.root={url}: {str(error).splitlines()[0]}") from None
    return system, str(path).rstrip("/")


def _unreachable(place: str, error: Exception) -> RuntimeFailureError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RuntimeFailureError(
        f"{place}: cannot be fetched ({reason}); see that it is there, and start again"
    )


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"{folder}: cannot be written to ({error.strerror or error}); free it, or set the data's "
        "`cache` to another folder"
    )
