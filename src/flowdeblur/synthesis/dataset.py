"""Synthesizes a data set of blurry and sharp frames from a folder of sharp clips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import filelock
from tqdm import tqdm

from flowdeblur.devices import one_thread_per_operation
from flowdeblur.errors import UserError
from flowdeblur.files import remove_leftovers, write_text
from flowdeblur.synthesis.clip import METADATA, synthesize_clip
from flowdeblur.synthesis.inputs import SharpClip
from flowdeblur.synthesis.recipe import Recipe

RECIPE = "recipe.json"
LOCK = ".lock"


def synthesize(
    clips: Sequence[SharpClip],
    out: Path,
    recipe: Recipe,
    *,
    wait: bool = False,
    jobs: int | None = None,
) -> list[dict[str, Any]]:
    """Synthesize every clip into a folder of its name below ``out``.

    Complete clips are kept, so that an interrupted call can be resumed. A clip that cannot be used
    does not stop the others.

    Args:
        clips: the sharp clips.
        out: made if missing; holds only clips of the same recipe.
        recipe: how to blur them.
        wait: wait for another process that is writing to ``out``; otherwise it is an error.
        jobs: clips that are made at the same time, each by one thread; None for one per thread that
            PyTorch would use.

    Returns:
        The metadata of every clip.

    Raises:
        UserError: a clip cannot be used, or ``out`` holds something else.
    """
    curve = recipe.curve()

    def make(clip: SharpClip) -> dict[str, Any] | UserError:
        folder = out / clip.name
        try:
            if folder.is_dir():
                return _earlier(folder, clip)
            return synthesize_clip(clip, recipe, curve, folder, progress)
        except UserError as error:
            return error

    try:
        out.mkdir(parents=True, exist_ok=True)
        with (
            filelock.FileLock(out / LOCK, timeout=-1 if wait else 0),
            one_thread_per_operation() as threads,
            ProgressBar() as progress,
            ThreadPoolExecutor(jobs or threads, thread_name_prefix="synthesize") as pool,
        ):
            _claim(out, recipe)
            try:
                made = list(pool.map(make, clips))
            finally:  # also after Ctrl-C: the clips in progress end with their current frame
                progress.stop()
                pool.shutdown(cancel_futures=True)
    except filelock.Timeout:
        raise UserError(f"{out}: another process is writing there; wait for it") from None
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written to ({error.strerror or error}); free disk space or choose "
            "another folder"
        ) from error
    refused = [each for each in made if isinstance(each, UserError)]
    if refused:
        others = f" (and {len(refused) - 1} more clips)" if len(refused) > 1 else ""
        raise UserError(f"{refused[0]}{others}")
    return [each for each in made if not isinstance(each, UserError)]


class ProgressBar:
    """One bar for the frames of all clips."""

    _stopped = False

    def __enter__(self) -> Self:
        self._bar = tqdm(desc="synthesizing", total=0, unit="frame", disable=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def expect(self, frames: int) -> None:
        """Lengthen the bar."""
        self._bar.total += frames
        self._bar.refresh()

    def made(self, frames: int) -> None:
        """Advance the bar; ends the clip if the synthesis was stopped."""
        if self._stopped:
            raise KeyboardInterrupt
        self._bar.update(frames)

    def stop(self) -> None:
        """End all clips with their next frame."""
        self._stopped = True


def _claim(out: Path, recipe: Recipe) -> None:
    """Check that ``out`` is empty or holds clips of this recipe."""
    path, wanted = out / RECIPE, recipe.as_json()
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError:
            raise UserError(f"{path}: is damaged; choose another OUT") from None
        for name, value in wanted.items():
            if found.get(name) != value:
                raise UserError(
                    f"{out}: holds clips made with {name} = {found.get(name)}, not {value}; "
                    "choose another OUT"
                )
        return
    remove_leftovers(out)
    if any(each.name != LOCK for each in out.iterdir()):
        raise UserError(f"{out}: is not empty, and was not made by synthesize; choose another OUT")
    write_text(path, json.dumps(wanted, indent=1) + "\n")


def _earlier(folder: Path, clip: SharpClip) -> dict[str, Any]:
    """Metadata of a complete clip, if it was made from this one."""
    try:
        metadata: dict[str, Any] = json.loads((folder / METADATA).read_text())
        size = metadata["source"]["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder / METADATA}: is missing or damaged; delete {folder}, and it is made again"
        ) from None
    if size != clip.bytes:
        raise UserError(
            f"{folder}: was made from another {clip.path.name}; delete it, or choose another OUT"
        )
    return metadata
