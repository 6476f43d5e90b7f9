"""Packed frames on a server: downloaded once, checked by their digests, then mapped as local files.

All requested files are downloaded before the first sample, because shuffled training reads all
clips within its first batches.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import filelock
from tqdm import tqdm

from flowdeblur.datasets.packed.index import INDEX, Shard
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.extras import import_extra
from flowdeblur.files import replacing, sha256

_SILENCE_S = 60.0
"""Seconds after which a server that sends nothing is given up."""

_MAX_INDEX_BYTES = 100_000_000


def mirror(url: str, cache: Path) -> Path:
    """Download the index at ``url`` into a folder of its own below ``cache``.

    Returns:
        The folder; its name is the index's digest, so that another pack gets another folder.

    Raises:
        UserError: the protocol needs another library; the cache cannot be written to.
        RuntimeFailureError: the server does not respond, or has no such file.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            index = Path(scratch) / INDEX
            _download(url, INDEX, index, _MAX_INDEX_BYTES)
            folder = cache / sha256(index)[:16]
            folder.mkdir(exist_ok=True)
            index.replace(folder / INDEX)
    except OSError as error:
        raise _unwritable(cache, error) from error
    return folder


def fetch(url: str, shards: Sequence[Shard], folder: Path) -> None:
    """Download the files that ``folder`` does not have; an interrupted call can be repeated.

    Raises:
        UserError: ``folder`` cannot be written to.
        RuntimeFailureError: the server does not respond, or a file does not match the index.
    """
    try:
        with filelock.FileLock(folder / ".lock"):  # another process may want the same files
            for partial in folder.glob(".*.partial-*"):  # of a process that was killed
                partial.unlink()
            missing = [shard for shard in shards if not (folder / shard.file).exists()]
            for shard in tqdm(missing, "fetching", unit="file", disable=None):
                with replacing(folder / shard.file) as partial:
                    _download(url, shard.file, partial, shard.bytes)
                    if Shard.of(partial).sha256 != shard.sha256:
                        raise RuntimeFailureError(
                            f"{url.rstrip('/')}/{shard.file}: checksum mismatch; download again, "
                            "or upload the file again"
                        )
    except OSError as error:
        raise _unwritable(folder, error) from error


def _download(url: str, name: str, target: Path, max_bytes: int) -> None:
    fsspec = import_extra("fsspec", "remote")
    place = f"{url.rstrip('/')}/{name}"

    class Limit(fsspec.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Stop a server that sends more than the file has."""

        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            if self.value > max_bytes:
                raise ValueError(f"more than the expected {max_bytes:,} bytes")

    try:
        system, path = fsspec.core.url_to_fs(place, **_options(url))
    except (ValueError, ImportError) as error:
        raise UserError(f"data.root={url}: {str(error).splitlines()[0]}") from None
    try:
        system.get_file(path, str(target), callback=Limit())
    except Exception as error:  # every protocol has exceptions of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RuntimeFailureError(
            f"{place}: cannot be fetched ({reason}); check the address, and start again"
        ) from error


def _options(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        return {}
    timeout = import_extra("aiohttp", "remote").ClientTimeout(
        total=None, sock_connect=_SILENCE_S, sock_read=_SILENCE_S
    )
    return {"client_kwargs": {"timeout": timeout}}


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"{folder}: cannot be written to ({error.strerror or error}); free space, or set `cache` "
        "of the data to another folder"
    )
