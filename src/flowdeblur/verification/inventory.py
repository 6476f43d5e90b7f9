"""Whether the clips are the published ones, and training and test clips are different ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowdeblur.datasets.clips import Clip
from flowdeblur.datasets.published import Published, Size
from flowdeblur.verification.examination import Examination
from flowdeblur.verification.findings import Finding, counted, some
from flowdeblur.verification.overlap import Pair, Thumbnail, nearest_pairs


def nothing_found(split: str, root: Path, layout: Sequence[str]) -> Finding:
    """Report a split without any clip, and where there are some if they are near."""
    wanted = layout[0]
    for folder in (root.parent, *sorted(each for each in root.iterdir() if each.is_dir())):
        if any(folder.glob(wanted)):
            return Finding(split, f"nothing at {root / wanted}", f"give {folder} as the root")
    return Finding(
        split,
        f"nothing at {root / wanted}",
        f"give the folder that contains {wanted} as the root, or check only other splits (--split)",
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
    """Report clips whose frames are smaller or larger than the published ones, upright or not."""
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
                    f"{counted(len(digests), 'image')} also in training, in clip {there}",
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


def alike(splits: Mapping[str, Sequence[Examination]]) -> tuple[list[Finding], list[Pair]]:
    """Report images of held-out splits that look like training images but have other pixels.

    Returns:
        Findings, and for each held-out image the training image that looks most like it, nearest
        first.
    """
    train = splits.get("train", ())
    known = frozenset().union(*(each.digests.keys() for each in train))
    training = {path: small for each in train for path, small in each.thumbnails.items()}
    findings, pairs = [], []
    for split, examined in splits.items():
        if split == "train":
            continue
        held_out: dict[Path, Thumbnail] = {}
        for each in examined:
            reported = {path for digest, path in each.digests.items() if digest in known}
            held_out |= {p: s for p, s in each.thumbnails.items() if p not in reported}
        found = nearest_pairs(training, held_out)
        pairs += found
        same = [pair for pair in found if pair.same]
        if same:
            nearest = same[0]
            findings.append(
                Finding(
                    str(nearest.held_out),
                    f"looks like the training image {nearest.training} (correlation "
                    f"{nearest.correlation:.2f}), and {len(same) - 1} more of {split} like others",
                    "look whether they show the same; move one away if they do",
                )
            )
    return findings, sorted(pairs, key=lambda pair: -pair.correlation)


def _folders(clip: Clip) -> str:
    return " and ".join(map(str, clip.folders))
