"""Uploads of the demo: within limits, one at a time, in a folder that is removed afterwards."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from flowdeblur.demo.limits import LimitedReader, Limits, StoppedError
from flowdeblur.errors import FlowdeblurError, RuntimeFailureError, UserError
from flowdeblur.explain import DUTY_CYCLE
from flowdeblur.explain.explain_clip import explain_clip
from flowdeblur.types import Network
from flowdeblur.video.clip import FrameReader, in_words
from flowdeblur.video.deblur import DeblurJob
from flowdeblur.video.inputs import InputClip, find_sources
from flowdeblur.video.outputs import choose_output
from flowdeblur.video.progress import Progress, duration
from flowdeblur.video.settings import Settings

_BUSY = ("waiting", "working")
_CONTROLS = ("scale", "strength", "only_blurry", "keep_grain")
_FAILED = "it could not be restored; see the terminal of this demo for details"

_log = logging.getLogger(__name__)


@dataclass
class Job:
    """An upload and its results.

    Attributes:
        folder: contains them, and nothing else.
        state: ``uploading``, ``waiting``, ``working``, ``done`` or ``failed``.
        message: for the user: the current step, or what went wrong, in one line.
        share: finished share of the frames, 0 to 1; None before the first.
        restored: the result, when done.
        before: the input as a video that browsers play, when done.
        settings: what the user chose.
    """

    folder: Path
    state: str = "uploading"
    message: str = ""
    share: float | None = None
    restored: Path | None = None
    before: Path | None = None
    settings: Settings = field(default_factory=Settings)
    uploaded: list[Path] = field(default_factory=list)
    bytes: int = 0
    born: float = field(default_factory=time.monotonic)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def page(self) -> Path:
        """The explanation, when done."""
        return self.folder / "explanation" / "index.html"


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
            controls: ``scale``, ``strength``, ``only_blurry`` and ``keep_grain``, as far as the
                user chose them.

        Raises:
            UserError: a control is unknown or has a wrong value.
        """
        if unknown := sorted(controls.keys() - set(_CONTROLS)):
            raise UserError(f"{unknown[0]}: no such control")
        try:
            job.settings = Settings(device=str(self._device), **controls)
        except TypeError:
            raise UserError("a control has a value of the wrong type") from None
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
            self._restore(job)
            job.state = "done"
        except StoppedError:
            pass
        except FlowdeblurError as error:
            # Local paths are omitted to avoid leaking them.
            job.message = str(error).replace(f"{job.folder}/in/", "").replace(str(job.folder), "")
            job.state = "failed"
        except Exception:
            if not job.stopped.is_set():  # otherwise its folder is gone
                _log.exception("restoring an upload failed")
            job.message, job.state = _FAILED, "failed"
        finally:
            shutil.rmtree(job.folder / "in", ignore_errors=True)
            if job.stopped.is_set():
                shutil.rmtree(job.folder, ignore_errors=True)

    def _restore(self, job: Job) -> None:
        clip = _clip(job.uploaded)
        reader = LimitedReader(clip.open(None), job.stopped, self.limits.frames)
        height, width = reader.size
        if height * width > self.limits.pixels:
            raise UserError(
                f"{reader.path}: {in_words(reader.size)} is too large for the demo; "
                "use flowdeblur deblur"
            )
        job.message = "explaining three frames"
        explain_clip(
            self._network,
            reader,
            job.folder / "explanation",
            chosen=_chosen(reader),
            duty_cycle=DUTY_CYCLE,
            device=self._device,
        )

        def show(progress: Progress) -> None:
            if job.stopped.is_set():
                raise StoppedError
            job.message, job.share = _in_words(progress)

        if not clip.is_video:
            job.restored = job.folder / "restored.png"
            _deblur(job, clip, reader).run(self._network, show)
        else:
            # MP4 holds not every kind of sound; browsers do not play Matroska.
            job.restored = job.folder / "restored.mp4"
            work = _deblur(job, clip, reader)
            try:
                report = work.run(self._network, show)
            except UserError:
                job.restored = job.folder / "restored.mkv"
                report = _deblur(job, clip, reader).run(self._network, show)
            job.before = report.comparison
        if reader.damage:
            raise RuntimeFailureError(f"{reader.path}: {reader.damage}")


def _deblur(job: Job, clip: InputClip, reader: FrameReader) -> DeblurJob:
    assert job.restored is not None
    settings = replace(job.settings, compare="input" if clip.is_video else None)
    output = choose_output(str(job.restored), clip, reader, settings.encoding(), overwrite=False)
    return DeblurJob(reader, output, settings)


def _in_words(progress: Progress) -> tuple[str, float | None]:
    """A line for the user, and the finished share."""
    if progress.total is None:
        return f"restored {progress.done} frames", None
    left = progress.seconds_left
    rest = "" if left is None else f", {duration(left)} left"
    line = f"restored {progress.done} of {progress.total} frames{rest}"
    return line, min(1.0, progress.done / max(progress.total, 1))


def _clip(uploaded: list[Path]) -> InputClip:
    clips = find_sources([re.sub(r"([*?[])", r"[\1]", str(each)) for each in uploaded])
    if len(clips) != 1 or len(clips[0].images) not in (0, 2):
        raise UserError("drop one video, or two images taken one right after the other")
    return clips[0]


def _chosen(reader: FrameReader) -> list[int]:
    """The frames to explain: three, where their number is known."""
    count = reader.count or 1
    return sorted({0, count // 2, max(count - 2, 0)}) if count > 2 else [0]
