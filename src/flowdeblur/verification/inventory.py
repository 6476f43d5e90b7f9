"""Whether the clips are the published ones, and training and test clips are different ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowdeblur.datasets.clips import Clip
from flowdeblur.datasets.published import Published, Size
from flowdeblur.verification.examination import Examination
from flowdeblur.verification.findings import Finding, counted, some


def nothing_found(split: str, root: Path, layout: Sequence[str]) -> Finding:
    """Tell a split without any clip, and where there are some if they are near."""
    wanted = layout[0]
    for folder in (root.parent, *sorted(each for each in root.iterdir() if each.is_dir())):
        if any(folder.glob(wanted)):
            return Finding(split, f"nothing at {root / wanted}", f"give {folder} as the root")
    return Finding(
        split,
        f"nothing at {root / wanted}",
        f"give the folder that holds {wanted} as the root, or check other splits alone (--split)",
    )


def compare_numbers(
    split: str, clips: Sequence[Clip], published: Published, again: str
) -> list[Finding]:
    """Compare clips and their frames with the published numbers."""
    if published.lengths is not None:
        return _compare_lengths(split, clips, published.lengths, again)
    frames = sum(len(clip.blurry) for clip in clips)
    if len(clips) != published.clips:
        noun = "clip" if published.frames > published.clips else "pair"
        wrong = f"{counted(len(clips), noun)}, but {published.clips} were published"
    elif frames != published.frames:
        wrong = f"{counted(frames, 'frame')}, but {published.frames} were published"
    else:
        return []
    return [Finding(split, wrong, again)]


def _compare_lengths(
    split: str, clips: Sequence[Clip], lengths: Mapping[str, int], again: str
) -> list[Finding]:
    there = {clip.name: len(clip.blurry.keys() | clip.sharp.keys()) for clip in clips}
    missing = sorted(lengths.keys() - there.keys())
    surplus = [clip for clip in clips if clip.name not in lengths]
    other = [
        f"{name} ({frames} of {lengths[name]})"
        for name, frames in there.items()
        if frames != lengths.get(name, frames)
    ]
    findings = []
    if missing:
        wrong = f"{len(missing)} of {counted(len(lengths), 'clip')} missing: {some(missing)}"
        findings.append(Finding(split, wrong, again))
    if surplus:
        names = some([clip.name for clip in surplus])
        wrong = f"{counted(len(surplus), 'clip')} not among the published: {names}"
        findings.append(Finding(split, wrong, f"move {_folders(surplus[0])} away"))
    if other:
        wrong = f"{counted(len(other), 'clip')} not of the published length: {some(other)}"
        findings.append(Finding(split, wrong, again))
    return findings


def compare_sizes(
    split: str, examined: Sequence[Examination], size: Size, again: str
) -> list[Finding]:
    """Tell clips whose frames are smaller or larger than the published ones, upright or not."""
    odd = {
        each.clip.name: found
        for each in examined
        for found in each.sizes
        if sorted(found) != sorted(size)
    }
    if not odd:
        return []
    rows, columns = next(iter(odd.values()))
    return [
        Finding(
            split,
            f"{counted(len(odd), 'clip')} of another size, {rows}x{columns} for one instead of "
            f"{size[0]}x{size[1]}: {some(list(odd))}",
            f"{again}: scores on resized frames do not compare with published ones",
        )
    ]


def shared(splits: Mapping[str, Sequence[Examination]]) -> list[Finding]:
    """Report what training shares with validation or testing: files, images and names of clips.

    Names that are numbers are ignored, because every split may count from 0.
    """
    train = splits.get("train", ())
    videos = [each.clip for each in train if len(each.clip.blurry) > 1]
    training_files = frozenset[str]().union(*(clip.files for clip in videos))
    names = {clip.name: clip for clip in videos}
    origins = {digest: (each.clip, path) for each in train for digest, path in each.digests.items()}
    findings = []
    for split, examined in splits.items():
        if split == "train":
            continue
        same_files = [each.clip.name for each in examined if each.clip.files & training_files]
        if same_files:
            clips = counted(len(same_files), "clip")
            findings.append(
                Finding(
                    split,
                    f"{clips} read from the same files as in training: {some(same_files)}",
                    "choose other folders or clips for it, or exclude these from training "
                    f"(train.without=[{some(same_files)}])",
                )
            )
            examined = [each for each in examined if each.clip.name not in same_files]
        alike = {each.clip.name for each in examined if not each.clip.name.isdecimal()} & set(names)
        same: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        for each in examined:
            for digest in each.digests.keys() & origins.keys():
                same[each.clip.name, origins[digest][0].name].append(digest)
        for (here, there), digests in same.items():
            alike.discard(here)
            clip, path = origins[digests[0]]
            findings.append(
                Finding(
                    f"{split}: {here}",
                    f"{counted(len(digests), 'picture')} also in training, in clip {there}",
                    f"move {_folders(clip) if clip.name in names else path} away",
                )
            )
        if alike:
            first = min(alike)
            findings.append(
                Finding(
                    split,
                    f"{counted(len(alike), 'clip')} named as in training: {some(sorted(alike))}",
                    f"move {_folders(names[first])} away if it is the same video, else rename it",
                )
            )
    return findings


def _folders(clip: Clip) -> str:
    return " and ".join(map(str, clip.folders))
