"""Reading a clip: do its files decode, pair up, follow one another and have one size."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flowdeblur.datasets.clips import Clip
from flowdeblur.datasets.published import Size
from flowdeblur.errors import UserError
from flowdeblur.verification.alignment import Comparison, Plane, compare, luminance
from flowdeblur.verification.findings import Finding, counted, some
from flowdeblur.verification.overlap import Thumbnail, thumbnail
from flowdeblur.video.images import ImageArray, read_image

_THUMBNAILS = 5  # frames per clip that are compared with those of other splits


@dataclass
class Examination:
    """What a clip turned out to hold.

    Attributes:
        clip: its files.
        sizes: which of its images have which size.
        digests: of the pixels of every image that is not of one colour, to its file.
        thumbnails: a few of its sharp frames (blurry ones where those are missing), by file.
        comparisons: of the frames with their sharp versions.
        findings: what is wrong with its files.
    """

    clip: Clip
    sizes: dict[Size, list[Path]] = field(default_factory=dict)
    digests: dict[bytes, Path] = field(default_factory=dict)
    thumbnails: dict[Path, Thumbnail] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class _Moment:
    """What of a frame is needed for comparing it with its neighbours."""

    name: str
    blurry: Plane | None
    sharp: Plane | None
    scale: int


def examine(clip: Clip, again: str | None, progress: Callable[[], object]) -> Examination:
    """Decode all images of a clip, and compare each blurry frame with its sharp version.

    Three frames are in memory at a time.

    Args:
        clip: its files, as they are.
        again: how to get published files again.
        progress: called after every frame.
    """
    result = Examination(clip)
    unreadable: dict[str, list[Path]] = {}

    def read(path: Path | None) -> ImageArray | None:
        if path is None:
            return None
        try:
            image = read_image(path)
            if image.dtype.itemsize != 1:
                raise UserError(f"{path}: has 16 bits per channel; convert it to 8 bits")
        except UserError as error:
            unreadable.setdefault(str(error).removeprefix(f"{path}: "), []).append(path)
            return None
        result.sizes.setdefault(image.shape[:2], []).append(path)
        if image.min() != image.max():
            result.digests[hashlib.blake2b(image.tobytes(), digest_size=16).digest()] = path
        return image

    names = _in_order(clip)
    chosen = {names[i] for i in np.linspace(0, len(names) - 1, _THUMBNAILS).astype(int) if names}
    before: _Moment | None = None
    current: _Moment | None = None
    for name in [*names, None]:
        after = None
        if name is not None:
            # A single image is named with its folder, because others have the same name.
            label = name if len(names) > 1 else f"{clip.name}/{name}"
            after = _moment(label, read(clip.blurry.get(name)), read(clip.sharp.get(name)))
            if name in chosen:
                result.thumbnails |= _thumbnail(clip, name, after)
            progress()
        if current is not None:
            result.comparisons += _compared(before, current, after)
        before, current = current, after
    result.findings = [
        *_unpaired(clip, again),
        *_gaps(clip, names, again),
        *_unreadable(unreadable, again),
        *_odd_sizes(clip, result.sizes, again),
    ]
    return result


def _in_order(clip: Clip) -> list[str]:
    names = list(dict.fromkeys((*clip.blurry, *clip.sharp)))
    numbers = {name: number for name in names if (number := _number(name)) is not None}
    return sorted(names, key=numbers.__getitem__) if len(numbers) == len(names) else names


def _moment(name: str, blurry: ImageArray | None, sharp: ImageArray | None) -> _Moment:
    planes = [None if each is None else luminance(each) for each in (blurry, sharp)]
    scale = max((plane[1] for plane in planes if plane is not None), default=1)
    one, other = (None if plane is None else plane[0] for plane in planes)
    return _Moment(name, one, other, scale)


def _thumbnail(clip: Clip, name: str, moment: _Moment) -> dict[Path, Thumbnail]:
    plane = moment.blurry if moment.sharp is None else moment.sharp
    path = clip.blurry.get(name) if moment.sharp is None else clip.sharp[name]
    small = None if plane is None else thumbnail(plane)
    return {} if path is None or small is None else {path: small}


def _compared(
    before: _Moment | None, current: _Moment, after: _Moment | None
) -> Sequence[Comparison]:
    blurry, sharp = current.blurry, current.sharp
    if blurry is None or sharp is None or blurry.shape != sharp.shape:
        return ()
    earlier, later = (
        each.sharp
        if each is not None and each.sharp is not None and each.sharp.shape == sharp.shape
        else None
        for each in (before, after)
    )
    return (compare(current.name, blurry, sharp, earlier, later, current.scale),)


def _unpaired(clip: Clip, again: str | None) -> Sequence[Finding]:
    findings = []
    blurry, sharp = clip.folders
    for kind, folder, there, here in (
        ("sharp", sharp, clip.blurry, clip.sharp),
        ("blurry", blurry, clip.sharp, clip.blurry),
    ):
        lonely = [name for name in there if name not in here]
        if lonely:
            other = there[lonely[0]].parent
            frames = f"{counted(len(lonely), 'frame')} of {other.name}"
            findings.append(
                Finding(
                    str(folder),
                    f"no {kind} version of {frames}: {some(lonely)}",
                    again or f"put it there, or delete the frame from {other}",
                )
            )
    return findings


def _gaps(clip: Clip, names: Sequence[str], again: str | None) -> Sequence[Finding]:
    numbers = [_number(name) for name in names]
    gaps = [
        f"{former} and {latter}"
        for former, latter, one, other in zip(names, names[1:], numbers, numbers[1:], strict=False)
        if one is not None and other is not None and other != one + 1
    ]
    if not gaps or None in numbers:
        return ()
    return (
        Finding(
            str(clip.folders[0]),
            f"frames are missing between {some(gaps, 3)}",
            again or "put them there, or make the parts clips of their own",
        ),
    )


def _unreadable(reasons: dict[str, list[Path]], again: str | None) -> Sequence[Finding]:
    findings = []
    for reason, paths in reasons.items():
        wrong, _, remedy = reason.partition("; ")
        files = some([path.name for path in paths])
        findings.append(Finding(str(paths[0].parent), f"{files}: {wrong}", again or remedy))
    return findings


def _odd_sizes(clip: Clip, sizes: dict[Size, list[Path]], again: str | None) -> Sequence[Finding]:
    usual = max(sizes, key=lambda size: len(sizes[size]), default=None)
    return [
        Finding(
            str(paths[0].parent),
            f"{some([path.name for path in paths])}: {_by(size)} pixels, "
            f"but the clip is {_by(usual)}",
            again or "make all frames of the clip one size",
        )
        for size, paths in sizes.items()
        if usual is not None and size != usual
    ]


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _number(name: str) -> int | None:
    digits = re.search(r"\d+$", name)
    return int(digits[0]) if digits else None
