"""An upload of the demo: what the user chose, its state, and the work on it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from flowdeblur.demo.limits import LimitedReader, Limits, StoppedError
from flowdeblur.devices import find_device
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.explain import DUTY_CYCLE
from flowdeblur.explain.explain_clip import explain_clip
from flowdeblur.explain.preview import check_count, write_preview
from flowdeblur.types import Network
from flowdeblur.video.clip import FrameReader, in_words
from flowdeblur.video.deblur import DeblurJob
from flowdeblur.video.inputs import InputClip, find_sources
from flowdeblur.video.outputs import choose_output
from flowdeblur.video.progress import Progress, duration
from flowdeblur.video.settings import Settings

_CONTROLS = ("scale", "strength", "only_blurry", "keep_grain", "range", "compare")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user chose on the page.

    Attributes:
        settings: how the clip is restored.
        preview: number of frames to show only; None restores the clip.
    """

    settings: Settings = field(default_factory=Settings)
    preview: int | None = None

    @classmethod
    def parse(cls, controls: Mapping[str, Any], device: torch.device) -> Choice:
        """Read the controls of the page, which are named as attributes of ``Settings``.

        Raises:
            UserError: a control is unknown or has a wrong value.
        """
        if unknown := sorted(controls.keys() - {*_CONTROLS, "preview"}):
            raise UserError(f"{unknown[0]}: no such control")
        chosen = {name: controls[name] for name in _CONTROLS if name in controls}
        preview = controls.get("preview")
        try:
            settings = Settings(device=str(device), **chosen)
            if preview is not None:
                check_count(preview)
        except (AttributeError, TypeError):
            raise UserError("a control has a value of the wrong type") from None
        return cls(settings, preview)


@dataclass
class Job:
    """An upload and its results.

    Attributes:
        folder: contains them, and nothing else.
        state: ``uploading``, ``waiting``, ``working``, ``done`` or ``failed``.
        message: for the user: the current step, what a preview found, or what went wrong, in one
            line.
        share: finished share of the frames, 0 to 1; None before the first.
        restored: the result, when done; None for a preview.
        comparison: the comparison video, when done: of the kind that the user chose, or else the
            input as a video that browsers play.
        choice: what the user chose.
    """

    folder: Path
    state: str = "uploading"
    message: str = ""
    share: float | None = None
    restored: Path | None = None
    comparison: Path | None = None
    choice: Choice = field(default_factory=Choice)
    uploaded: list[Path] = field(default_factory=list)
    bytes: int = 0
    born: float = field(default_factory=time.monotonic)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def page(self) -> Path:
        """The explanation or the preview, when done."""
        return self.folder / "page" / "index.html"

    def work(self, network: Network, limits: Limits) -> None:
        """Restore the upload, or preview it.

        Raises:
            StoppedError: the user cancelled it.
            FlowdeblurError: it cannot be restored.
        """
        clip = _clip(self.uploaded)
        reader = LimitedReader(clip.open(None), self.stopped, limits.frames)
        height, width = reader.size
        if height * width > limits.pixels:
            raise UserError(
                f"{reader.path}: {in_words(reader.size)} is too large for the demo; "
                "use flowdeblur deblur"
            )
        if self.choice.preview is None:
            self._restore(network, clip, reader)
        else:
            count, settings = self.choice.preview, self.choice.settings
            self.message = f"restoring {count} frames"
            preview = write_preview(network, reader, self.page.parent, count, settings)
            self.message = "; ".join(preview.in_words())
        if reader.damage:
            raise RuntimeFailureError(f"{reader.path}: {reader.damage}")

    def _restore(self, network: Network, clip: InputClip, reader: FrameReader) -> None:
        # MP4 holds not every kind of sound; browsers do not play Matroska.
        suffixes = (".mp4", ".mkv") if clip.is_video else (".png",)
        work = self._deblur_job(clip, reader, suffixes[0])
        self.message = "explaining three frames"
        explain_clip(
            network,
            reader,
            self.page.parent,
            chosen=_chosen(reader),
            duty_cycle=DUTY_CYCLE,
            device=find_device(self.choice.settings.device),
        )
        try:
            report = work.run(network, self._show)
        except UserError:
            if len(suffixes) == 1:
                raise
            work = self._deblur_job(clip, reader, suffixes[1])
            report = work.run(network, self._show)
        self.restored, self.comparison = report.path, report.comparison

    def _deblur_job(self, clip: InputClip, reader: FrameReader, suffix: str) -> DeblurJob:
        settings = self.choice.settings
        if clip.is_video:
            settings = replace(settings, compare=settings.compare or "input")
        target = str(self.folder / f"restored{suffix}")
        output = choose_output(target, clip, reader, settings.encoding(), overwrite=False)
        return DeblurJob(reader, output, settings).checked()

    def _show(self, progress: Progress) -> None:
        if self.stopped.is_set():
            raise StoppedError
        self.message, self.share = _in_words(progress)


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
