"""Packing folders of frames: decoded once, then never again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from torch import Tensor
from tqdm import tqdm

from flowdeblur.datasets.clips import Clip
from flowdeblur.datasets.packed.index import INDEX, PackedEntry, Shard, from_json, to_json
from flowdeblur.errors import UserError
from flowdeblur.files import replacing, write_text
from flowdeblur.video.images import image_size

PLAN = "plan.json"
LOCK = ".lock"


def pack(clips: Sequence[Clip], out: Path) -> list[PackedEntry]:
    """Write the frames of ``clips`` to ``out``, without compression.

    A call that was cut short resumes with the first missing file.

    Args:
        clips: their frames come in pairs.
        out: made if missing; contains only this pack.

    Returns:
        The index.

    Raises:
        UserError: an image cannot be used; ``out`` holds something else, or has too little room.
    """
    plan = [_plan(clip) for clip in clips]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(out / LOCK, timeout=0):
            if (out / INDEX).exists():
                return _complete(out, plan)
            _claim(out, plan)
            _demand_room(out, plan)
            entries = []
            frames = sum(len(clip.names) for clip in clips)
            with tqdm(total=2 * frames, desc="packing", unit="frame", disable=None) as progress:
                for clip, planned in zip(clips, plan, strict=True):
                    entries.append(_pack_clip(clip, tuple(planned["size"]), out, progress.update))
            write_text(out / INDEX, to_json(entries))
            (out / PLAN).unlink()
            return entries
    except filelock.Timeout:
        raise UserError(f"{out}: another process is writing there; wait for it") from None
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written to ({error.strerror or error}); free disk space or choose "
            "another folder"
        ) from error


def _plan(clip: Clip) -> dict[str, Any]:
    """What a clip is packed from; compared when packing resumes."""
    paths = [*clip.blurry.values(), *clip.sharp.values()]
    return {
        "name": clip.name,
        "size": list(image_size(paths[0])),
        "frames": clip.names,
        "bytes": [path.stat().st_size for path in paths],
    }


def _complete(out: Path, plan: list[dict[str, Any]]) -> list[PackedEntry]:
    entries = from_json((out / INDEX).read_bytes(), str(out / INDEX))
    there = [(entry.name, list(entry.size), entry.frames) for entry in entries]
    if there != [(clip["name"], clip["size"], clip["frames"]) for clip in plan]:
        raise UserError(f"{out}: contains other frames, packed earlier; choose another OUT")
    return entries


def _claim(out: Path, plan: list[dict[str, Any]]) -> None:
    path, content = out / PLAN, json.dumps(plan) + "\n"
    for left in out.glob(".*.partial-*"):  # of a process that was killed
        left.unlink()
    if path.exists():
        if path.read_text() != content:
            raise UserError(
                f"{out}: contains an interrupted pack of other frames; delete it, or choose "
                "another OUT"
            )
    elif any(each.name != LOCK for each in out.iterdir()):
        raise UserError(f"{out}: is not empty; choose another OUT")
    else:
        write_text(path, content)


def _demand_room(out: Path, plan: list[dict[str, Any]]) -> None:
    wanted = sum(6 * len(clip["frames"]) * clip["size"][0] * clip["size"][1] for clip in plan)
    wanted -= sum(each.stat().st_size for each in out.glob("*.npy"))
    free = shutil.disk_usage(out).free
    if wanted > free:
        raise UserError(
            f"{out}: the frames need {wanted / 1e9:.1f} GB more, but {free / 1e9:.1f} GB are free; "
            "choose another OUT, or pack fewer --clips"
        )


def _pack_clip(
    clip: Clip, size: tuple[int, int], out: Path, progress: Callable[[float], Any]
) -> PackedEntry:
    shards = []
    for kind, read in (
        ("blurry", lambda name: clip.read_blurry([name])[0]),
        ("sharp", clip.read_sharp),
    ):
        path = out / f"{clip.name}.{kind}.npy"
        if path.exists():
            progress(len(clip.names))
        else:
            _write(path, (len(clip.names), 3, *size), map(read, clip.names), progress)
        shards.append(Shard.of(path))
    return PackedEntry(clip.name, size, clip.names, *shards)


def _write(
    path: Path, shape: tuple[int, ...], images: Iterable[Tensor], progress: Callable[[float], Any]
) -> None:
    # Written, not mapped: a full disk is an error of a write, but a mapping's crash (SIGBUS).
    with replacing(path) as partial, partial.open("wb") as file:
        header: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            file.write(image.contiguous().numpy().tobytes())
            progress(1)
        file.flush()
        os.fsync(file.fileno())
