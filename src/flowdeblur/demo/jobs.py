"""Uploads of the demo: within limits, one at a time, in a folder that is removed afterwards."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from flowdeblur.demo.job import Choice, Job
from flowdeblur.demo.limits import Limits, StoppedError
from flowdeblur.errors import FlowdeblurError, UserError
from flowdeblur.types import Network

_BUSY = ("waiting", "working")
_FAILED = "it could not be restored; see the terminal of this demo for details"

_log = logging.getLogger(__name__)


class Jobs:
    """All uploads, processed one after the other in a thread.

    Args:
        folder: empty; everything is kept in it.
        network: restores the frames.
        device: where to compute.
        limits: limits of uploads.
    """

    def __init__(
        self,
        folder: Path,
        network: Network,
        device: torch.device,
        limits: Limits,
    ) -> None:
        self.limits = limits
        self._folder, self._network, self._device = folder, network, device
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "restoring")

    def create(self) -> str:
        """Make room for an upload; returns a name that cannot be guessed.

        Raises:
            UserError: too many are waiting.
        """
        with self._lock:
            idle = [name for name, job in self._jobs.items() if job.state not in _BUSY]
            if len(self._jobs) >= self.limits.jobs and idle:
                self._remove(idle[0])
            if len(self._jobs) >= self.limits.jobs:
                raise UserError("several clips are being restored; try again in a moment")
            name = secrets.token_urlsafe(16)
            folder = self._folder / name
            folder.mkdir()
            self._jobs[name] = Job(folder)
            return name

    def find(self, name: str) -> Job | None:
        """The job with this name; None if there is none."""
        return self._jobs.get(name)

    def receive(self, job: Job, name: str, length: int) -> Path:
        """Choose where to write a file of an upload.

        Args:
            job: of the upload.
            name: the file's own name.
            length: in bytes.

        Raises:
            UserError: too large, or too many files.
        """
        if job.bytes + length > self.limits.megabytes * 2**20:
            raise UserError(f"more than {self.limits.megabytes} MB; cut the clip shorter")
        if job.state != "uploading" or len(job.uploaded) == 2:
            raise UserError("drop one video, or two images")
        path = job.folder / "in" / (re.sub(r"[^\w.() -]", "_", name)[-80:].lstrip(". ") or "file")
        if path in job.uploaded:
            path = path.with_name(f"2 {path.name}")
        path.parent.mkdir(exist_ok=True)
        job.uploaded.append(path)
        job.bytes += length
        return path

    def discard(self, job: Job, path: Path, length: int) -> None:
        """Forget a file whose upload broke off, so that it can be sent again."""
        job.uploaded.remove(path)
        job.bytes -= length
        path.unlink(missing_ok=True)

    def start(self, job: Job, controls: dict[str, Any]) -> None:
        """Restore an upload when its turn comes.

        Args:
            job: the upload.
            controls: of the page, as far as the user chose them; see :class:`Choice`.

        Raises:
            UserError: a control is unknown or has a wrong value.
        """
        job.choice = Choice.parse(controls, self._device)
        busy = any(each.state in _BUSY for each in self._jobs.values())
        job.state = "waiting"
        job.message = "waiting for another clip to finish" if busy else "starting"
        self._thread.submit(self._work, job)

    def remove(self, name: str) -> None:
        """Forget an upload, and stop working on it."""
        with self._lock:
            self._remove(name)

    def remove_old(self) -> None:
        """Forget the uploads whose time is over."""
        with self._lock:
            for name, job in list(self._jobs.items()):
                if time.monotonic() - job.born > self.limits.seconds:
                    self._remove(name)

    def close(self) -> None:
        """Stop all work."""
        for name in list(self._jobs):
            self.remove(name)
        self._thread.shutdown(cancel_futures=True)

    def _remove(self, name: str) -> None:
        job = self._jobs.pop(name, None)
        if job is not None:
            job.stopped.set()
            shutil.rmtree(job.folder, ignore_errors=True)

    def _work(self, job: Job) -> None:
        if job.stopped.is_set():
            return
        try:
            job.state = "working"
            job.work(self._network, self.limits)
            job.state = "done"
        except StoppedError:
            pass
        except FlowdeblurError as error:
            # Local paths are omitted to avoid leaking them.
            job.message = str(error).replace(f"{job.folder}/in/", "").replace(f"{job.folder}/", "")
            job.state = "failed"
        except Exception:
            if not job.stopped.is_set():  # otherwise its folder is gone
                _log.exception("restoring an upload failed")
            job.message, job.state = _FAILED, "failed"
        finally:
            shutil.rmtree(job.folder / "in", ignore_errors=True)
            if job.stopped.is_set():
                shutil.rmtree(job.folder, ignore_errors=True)
