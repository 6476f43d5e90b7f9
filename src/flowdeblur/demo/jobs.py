"""What becomes of an upload: within limits, one at a time, in a folder that goes away."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch

from flowdeblur.errors import FlowdeblurError, RuntimeFailureError, UserError
from flowdeblur.explain import DUTY_CYCLE
from flowdeblur.explain.clip import explain_clip
from flowdeblur.types import Network
from flowdeblur.video.clip import Frame, FrameReader, Sink, in_words
from flowdeblur.video.inputs import InputClip, find_sources
from flowdeblur.video.restore import restore
from flowdeblur.video.writer import writing_image, writing_video

_BUSY = ("waiting", "working")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken in.

    Attributes:
        megabytes: of all files of an upload together.
        frames: of a clip.
        pixels: of a frame.
        jobs: uploads that are kept or wait; the oldest idle one makes room for another.
        seconds: after which an upload and its results are removed.
    """

    megabytes: int = 200
    frames: int = 150
    pixels: int = 1920 * 1088
    jobs: int = 4
    seconds: float = 3600


@dataclass
class Job:
    """An upload and its results.

    Attributes:
        folder: holds them, and nothing else.
        state: ``uploading``, ``waiting``, ``working``, ``done`` or ``failed``.
        message: for the user: what is being done, or what went wrong, in one line.
        restored: the result, when done.
    """

    folder: Path
    state: str = "uploading"
    message: str = ""
    restored: Path | None = None
    uploaded: list[Path] = field(default_factory=list)
    bytes: int = 0
    born: float = field(default_factory=time.monotonic)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def page(self) -> Path:
        """The explanation, when done."""
        return self.folder / "explanation" / "index.html"


class _Stopped(Exception):
    """The user no longer wants the result."""


class Jobs:
    """All uploads, worked off one after the other in a thread of their own.

    Args:
        folder: empty; everything is kept in it.
        network: see :func:`flowdeblur.video.restore.restore`.
        device: where to compute.
        limits: of uploads.
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
        """Make room for an upload; returns the name that nobody can guess.

        Raises:
            UserError: too many are under way.
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
        """The job of that name, if there is one."""
        return self._jobs.get(name)

    def receive(self, job: Job, name: str, length: int) -> Path:
        """Say where to write a file of an upload.

        Args:
            job: the upload.
            name: as the user knows it.
            length: in bytes.

        Raises:
            UserError: too large, or too many files.
        """
        job.bytes += length
        if job.bytes > self.limits.megabytes * 2**20:
            raise UserError(f"more than {self.limits.megabytes} MB; cut the clip shorter")
        if job.state != "uploading" or len(job.uploaded) == 2:
            raise UserError("drop one video, or two pictures")
        path = job.folder / "in" / (re.sub(r"[^\w.() -]", "_", name)[-80:].lstrip(". ") or "file")
        if path in job.uploaded:
            path = path.with_name(f"2 {path.name}")
        path.parent.mkdir(exist_ok=True)
        job.uploaded.append(path)
        return path

    def start(self, job: Job) -> None:
        """Restore an upload as soon as its turn comes."""
        job.state, job.message = "waiting", "waiting for another clip"
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
            job.restored = self._restore(job)
            job.state = "done"
        except _Stopped:
            pass
        except FlowdeblurError as error:
            # Where the file lies on this machine is nobody's business.
            job.message = str(error).replace(f"{job.folder}/in/", "").replace(str(job.folder), "")
            job.state = "failed"
        except Exception:
            if not job.stopped.is_set():  # else its folder has gone
                _log.exception("restoring an upload failed")
            job.message = "it could not be restored; the terminal of this demo tells why"
            job.state = "failed"
        finally:
            shutil.rmtree(job.folder / "in", ignore_errors=True)
            if job.stopped.is_set():
                shutil.rmtree(job.folder, ignore_errors=True)

    def _restore(self, job: Job) -> Path:
        source = _source(job.uploaded)
        reader = source.open(None)
        self._check(reader)
        job.message = "looking at its motion"
        explain_clip(
            self._network,
            reader,
            job.folder / "explanation",
            chosen=_chosen(reader),
            duty_cycle=DUTY_CYCLE,
            device=self._device,
        )
        with ExitStack() as stack:
            path, write = _open_output(source, reader, job.folder, stack)
            frames = self._limited(reader, job)
            restored = restore(self._network, frames, device=self._device)
            for number, frame in enumerate(restored, 1):
                if source.is_video or number == 1:
                    write(frame)
                job.message = f"restored frame {number} of {reader.expected or 'the clip'}"
        if reader.damage:
            raise RuntimeFailureError(f"{reader.path}: {reader.damage}")
        return path

    def _check(self, reader: FrameReader) -> None:
        height, width = reader.size
        if height * width > self.limits.pixels:
            raise UserError(
                f"{reader.path}: {in_words(reader.size)} is too large for the demo; "
                "use flowdeblur deblur"
            )
        if reader.expected is not None and reader.expected > self.limits.frames:
            raise self._too_long(reader)

    def _limited(self, reader: FrameReader, job: Job) -> Iterator[Frame]:
        for number, frame in enumerate(reader):
            if job.stopped.is_set():
                raise _Stopped
            if number == self.limits.frames:  # its header told another number
                raise self._too_long(reader)
            yield frame

    def _too_long(self, reader: FrameReader) -> UserError:
        return UserError(
            f"{reader.path}: more than {self.limits.frames} frames; cut it shorter, "
            "or use flowdeblur deblur"
        )


def _source(uploaded: list[Path]) -> InputClip:
    sources = find_sources([re.sub(r"([*?[])", r"[\1]", str(each)) for each in uploaded])
    if len(sources) != 1 or len(sources[0].images) not in (0, 2):
        raise UserError("drop one video, or two pictures taken one right after the other")
    return sources[0]


def _chosen(reader: FrameReader) -> list[int]:
    """The frames to explain: three, where their number is known."""
    count = reader.count or 1
    return sorted({0, count // 2, max(count - 2, 0)}) if count > 2 else [0]


def _open_output(
    source: InputClip, reader: FrameReader, folder: Path, stack: ExitStack
) -> tuple[Path, Sink]:
    if not source.is_video:
        path = folder / "restored.png"
        return path, stack.enter_context(writing_image(path))
    path = folder / "restored.mp4"
    try:
        writing = writing_video(path, reader.size, reader.format, source=source.path)
        return path, stack.enter_context(writing)
    except UserError:  # MP4 holds not every kind of sound; browsers do not play Matroska
        path = path.with_suffix(".mkv")
        writing = writing_video(path, reader.size, reader.format, source=source.path)
        return path, stack.enter_context(writing)
