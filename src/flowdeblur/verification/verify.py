"""All checks of a data set, one after the other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from tqdm import tqdm

from flowdeblur.datasets.clips import Clip
from flowdeblur.datasets.published import Published
from flowdeblur.verification import inventory, judgement
from flowdeblur.verification.alignment import Comparison
from flowdeblur.verification.examination import Examination, examine
from flowdeblur.verification.findings import Finding, counted, findings_table, to_table
from flowdeblur.verification.overlap import Pair

_NEAREST = 5  # pairs that are shown


@runtime_checkable
class Verifiable(Protocol):
    """A source whose clips are files."""

    root: str

    @property
    def published(self) -> Published | None:
        """What its authors published; None if nothing is known."""

    @property
    def layout(self) -> Sequence[str]:
        """Patterns of what must be below the root."""

    def listing(self) -> list[Clip]:
        """List the clips as they are."""


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        contents: a row for each split: its name, clips, frames, published clips and frames, sizes.
        findings: what is wrong; places are relative to the root.
        homes: where the data set can be downloaded.
        nearest: pairs of training and held-out images that look most alike.
    """

    contents: list[tuple[str, ...]]
    findings: list[Finding]
    homes: list[str]
    nearest: list[Pair] = field(default_factory=list)

    def to_text(self, width: int) -> str:
        """Lay out the report for a terminal of ``width`` characters."""
        heading = ("split", "clips", "frames", "published", "rows x columns")
        table = to_table([heading, *self.contents], width)
        if self.nearest:
            rows = [("training image", "held-out image", "correlation")]
            rows += [(str(a), str(b), f"{r:.2f}") for a, b, r in self.nearest]
            table += f"\n\nmost alike:\n\n{to_table(rows, width)}"
        if not self.findings:
            return f"{table}\n\nno problems found"
        wrong = counted(len(self.findings), "problem")
        homes = "".join(f"\n\ndownload from {home}" for home in self.homes)
        return f"{table}\n\n{wrong}:\n\n{findings_table(self.findings, width)}{homes}"


def verify(sources: Mapping[str, Verifiable], workers: int | None = None) -> Report:
    """Check splits of a data set, each by itself and against each other.

    Args:
        sources: by the name of the split; what is called "train" must share nothing with the rest.
        workers: threads that decode and compare; None takes one a processor.

    Raises:
        UserError: the root is missing.
    """
    listings = {split: source.listing() for split, source in sources.items()}
    total = sum(
        len(clip.blurry.keys() | clip.sharp.keys()) for clips in listings.values() for clip in clips
    )
    findings: list[Finding] = []
    contents = []
    examined: dict[str, list[Examination]] = {}
    # Threads, because decoding, hashing and Fourier transforms release the GIL.
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        with tqdm(total=total, unit="frame", disable=None, delay=1) as bar:
            for split, source in sources.items():
                check = partial(examine, again=_again(source), progress=bar.update)
                examined[split] = list(pool.map(check, listings[split]))
                findings += _of_split(split, source, examined[split])
                contents.append(_contents(split, source.published, examined[split]))
    finally:
        pool.shutdown(cancel_futures=True)
    findings += inventory.shared(examined)
    hidden, nearest = inventory.alike(examined)
    findings += hidden
    roots = [f"{Path(source.root).expanduser()}/" for source in sources.values()]
    homes = {source.published.home for source in sources.values() if source.published}
    findings = [each.relative_to(roots) for each in findings]
    return Report(
        contents, findings, sorted(homes), [pair for pair in nearest if pair.shown][:_NEAREST]
    )


def _again(source: Verifiable) -> str | None:
    published = source.published
    return None if published is None else f"unpack {published.archive} again"


def _of_split(split: str, source: Verifiable, examined: Sequence[Examination]) -> list[Finding]:
    if not any(each.clip.blurry or each.clip.sharp for each in examined):
        root = Path(source.root).expanduser()
        return [inventory.nothing_found(split, root, source.layout)]
    again, published = _again(source), source.published
    findings = []
    if published is not None and again is not None:
        clips = [each.clip for each in examined]
        findings += inventory.compare_numbers(split, clips, published, again)
        if published.size is not None:
            findings += inventory.compare_sizes(split, examined, published.size, again)
    for each in examined:
        findings += each.findings
    phase = judgement.phase_of_sharp_frames([each for one in examined for each in one.comparisons])
    findings += judgement.phase_finding(split, phase)
    together: dict[str, list[Comparison]] = {}  # a clip's, and those of all single images
    for each in examined:
        place = str(each.clip.folders[0]) if len(each.clip.blurry) > 1 else split
        together.setdefault(place, []).extend(each.comparisons)
    for place, comparisons in together.items():
        findings += judgement.judge_clip(place, comparisons, phase, again)
    return findings


def _contents(
    split: str, published: Published | None, examined: Sequence[Examination]
) -> tuple[str, ...]:
    frames = sum(len(each.clip.blurry) for each in examined)
    sizes = sorted({size for each in examined for size in each.sizes})
    return (
        split,
        str(len(examined)),
        str(frames),
        "" if published is None else f"{published.clips} / {published.frames}",
        ", ".join(f"{rows}x{columns}" for rows, columns in sizes[:3])
        + (" ..." if len(sizes) > 3 else ""),
    )
