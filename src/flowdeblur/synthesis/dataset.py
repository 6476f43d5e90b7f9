"""A folder of sharp clips becomes a data set of blurry and sharp frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import filelock

from flowdeblur.errors import UserError
from flowdeblur.files import write_text
from flowdeblur.synthesis.clip import METADATA, synthesize_clip
from flowdeblur.synthesis.inputs import SharpClip
from flowdeblur.synthesis.recipe import Recipe

RECIPE = "recipe.json"
LOCK = ".lock"


def synthesize(
    clips: Sequence[SharpClip], out: Path, recipe: Recipe, *, wait: bool = False
) -> list[dict[str, Any]]:
    """Synthesise every clip into a folder of its name below ``out``.

    Clips that are complete are left as they are, so that a call that was cut short goes on where it
    was. A clip that cannot be used does not keep the others from being made.

    Args:
        clips: what to make.
        out: made if missing; holds nothing but clips of the same recipe.
        recipe: how.
        wait: wait for another process that is writing to ``out``; otherwise it is an error.

    Returns:
        The metadata of every clip.

    Raises:
        UserError: a clip cannot be used, or ``out`` holds something else.
    """
    curve = recipe.curve()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(out / LOCK, timeout=-1 if wait else 0):
            _claim(out, recipe)
            described, refused = [], []
            for clip in clips:
                folder = out / clip.name
                try:
                    if folder.is_dir():
                        described.append(_earlier(folder, clip))
                    else:
                        described.append(synthesize_clip(clip, recipe, curve, folder))
                except UserError as error:
                    refused.append(error)
    except filelock.Timeout:
        raise UserError(f"{out}: another process is writing there; wait for it") from None
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written to ({error.strerror or error}); free or choose another place"
        ) from error
    if refused:
        others = f" (and {len(refused) - 1} more clips)" if len(refused) > 1 else ""
        raise UserError(f"{refused[0]}{others}")
    return described


def _claim(out: Path, recipe: Recipe) -> None:
    """See that ``out`` is empty, or holds clips of this recipe."""
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
    if any(each.name != LOCK for each in out.iterdir()):
        raise UserError(f"{out}: is not empty, and was not made by synthesize; choose another OUT")
    write_text(path, json.dumps(wanted, indent=1) + "\n")


def _earlier(folder: Path, clip: SharpClip) -> dict[str, Any]:
    """The metadata of a complete clip, if it was made from this one."""
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
