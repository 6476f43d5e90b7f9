"""The page about scores without reference: a table, curves over time, frames of large blur."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

import flowdeblur
from flowdeblur.explain.explanation import Explanation
from flowdeblur.explain.figures import Figure, FramePage
from flowdeblur.explain.page import page
from flowdeblur.explain.quality import BLUR, GAIN, ClipQuality, FrameQuality
from flowdeblur.files import filling
from flowdeblur.pages import render
from flowdeblur.viz.charts import Series, line_chart
from flowdeblur.viz.drawing import draw_difference
from flowdeblur.viz.panels import to_bytes

TITLES = {
    "niqe": "NIQE (lower is better)",
    "sharpness": "sharpness, levels a pixel (higher is sharper)",
    BLUR: "estimated blur, px (lower is sharper)",
    "flicker": "flicker, levels of 255 (lower is steadier)",
    GAIN: "re-blur gain, dB (above 0 is better than the input)",
}
_INTRODUCTION = (
    "Scores without reference, before and after restoration; the clips have no sharp frames. None "
    "of them replaces a look at the frames: noise raises sharpness, and blur hides flicker. "
    "Re-blur gain: by how much the restored frame, blurred along its own flow, is nearer to the "
    "input than the input blurred in the same way. Clips and frames with the largest blur come "
    "first. Drag across a frame to compare."
)


def largest_blur_first(clips: Sequence[ClipQuality]) -> list[ClipQuality]:
    """Order clips by their mean estimated blur before restoration."""
    return sorted(clips, key=lambda each: each.means().get(BLUR, (0.0, None))[0] or 0, reverse=True)


def write_quality(clips: Sequence[ClipQuality], folder: Path, weights: str) -> None:
    """Write ``index.html``, ``frames.csv`` and ``metrics.json``.

    Args:
        clips: in the order of the page.
        folder: written atomically; files of other names in it stay.
        weights: the weights, for ``metrics.json``.

    Raises:
        UserError: Matplotlib is not installed.
    """
    frames = [_part(clip, *each) for clip in clips for each in clip.largest]
    summary = render(
        "quality.html",
        clips=[
            {
                "name": clip.name,
                "count": len(clip.frames),
                "rows": rows(clip),
                "charts": [Markup(each) for each in _charts(clip)],
            }
            for clip in clips
        ],
    )
    text = page("Scores without reference", _INTRODUCTION, frames, Markup(summary))
    content = {
        "flowdeblur": flowdeblur.__version__,
        "weights": weights,
        "clips": {
            clip.name: {
                "frames": len(clip.frames),
                "scores": {
                    name: {"input": before, "restored": after}
                    for name, (before, after) in clip.means().items()
                },
            }
            for clip in clips
        },
    }
    with filling(folder) as partial:
        (partial / "index.html").write_text(text, "utf-8")
        (partial / "frames.csv").write_text(_csv(clips), "utf-8")
        (partial / "metrics.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def rows(clip: ClipQuality) -> list[tuple[str, str, str]]:
    """Title and mean of each score, before and after, as text."""
    return [
        (TITLES.get(name, name), _number(before), _number(after))
        for name, (before, after) in clip.means().items()
    ]


def _number(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"


def _charts(clip: ClipQuality) -> list[str]:
    charts = []
    for name in clip.means():
        series = [
            Series(label, points)
            for label, points in (
                ("input", [(f.time, f.before[name]) for f in clip.frames if name in f.before]),
                ("restored", [(f.time, f.after[name]) for f in clip.frames if name in f.after]),
            )
            if points
        ]
        charts.append(line_chart(series, "time, s", TITLES.get(name, name)))
    return charts


def _part(clip: ClipQuality, quality: FrameQuality, explained: Explanation) -> FramePage:
    facts = {"time": f"{quality.time:.2f} s"}
    for name in dict.fromkeys((*quality.before, *quality.after)):
        values = [f"{each[name]:.2f}" for each in (quality.before, quality.after) if name in each]
        facts[TITLES.get(name, name).partition(" (")[0]] = " → ".join(values)
    difference, times = draw_difference(explained.blurry, explained.restored)
    caption = f"Restored minus input, amplified {times:g} times; mid-grey is no change."
    before, after = (to_bytes(each[None])[0] for each in (explained.blurry, explained.restored))
    return FramePage(
        f"{quality.name} of {clip.name}",
        facts,
        [Figure("input", "input", "", before), Figure("restored", "restored", "", after)],
        [Figure("difference", "difference", caption, difference)],
    )


def _csv(clips: Sequence[ClipQuality]) -> str:
    names = list(dict.fromkeys(name for clip in clips for name in clip.means()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    ends = [f"{name}_{when}" for name in names for when in ("input", "restored")]
    writer.writerow(["clip", "frame", "time", *ends])
    for clip in clips:
        for each in clip.frames:
            scores = [found.get(name) for name in names for found in (each.before, each.after)]
            cells = ["" if score is None else f"{score:.4f}" for score in scores]
            writer.writerow([clip.name, each.name, f"{each.time:.4f}", *cells])
    return text.getvalue()
