"""What a table's numbers were made with, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowdeblur.ablation.results import Result, Row

_PAPER_STEPS, _PAPER_BATCH, _PAPER_PATCH = 800_000, 20, (256, 256)


def data(rows: Sequence[Row]) -> list[str]:
    """The test data and how they are scored."""
    results = _results(rows)
    sources = dict.fromkeys(_source(each.config["data"]) for each in results)
    frames = dict.fromkeys(len(each.frames) for each in results)
    if not results:
        return ["No run is done yet."]
    parts = [
        f"Test data: {' and '.join(sources)}, {' or '.join(map(str, frames))} frames. "
        "PSNR and SSIM are of each frame, then averaged over frames; "
        "SSIM is the mean of the colour channels' (Wang et al. 2004)."
    ]
    blurry = results[0].metrics["test"]
    if "psnr_blurry" in blurry:
        parts[0] += (
            f" The blurry input has {blurry['psnr_blurry']:.2f} dB, {blurry['ssim_blurry']:.4f}."
        )
    if len(sources) > 1 or len(frames) > 1:
        parts.append("CAUTION: the rows were tested on different data and cannot be compared.")
    return parts


def budget(rows: Sequence[Row]) -> list[str]:
    """How long the rows were trained, over which seeds, and how small that is."""
    budgets = dict.fromkeys(_budget(each) for each in _results(rows))
    counts = sorted({len(row.results) for row in rows if row.results})
    if not budgets:
        return []
    seeds = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
    parts = [
        f"Budget: {' or '.join(_budget_text(each) for each in budgets)}; "
        f"{seeds} seed{'s' * (counts[-1] > 1)}"
        + (", ± is their standard deviation." if counts[-1] > 1 else ".")
    ]
    if len(budgets) > 1:
        parts.append("CAUTION: the budgets of the rows differ.")
    share = min(_pixels(each) for each in budgets) / _pixels(
        (_PAPER_STEPS, _PAPER_BATCH, _PAPER_PATCH)
    )
    if share < 0.5 and any(row.paper for row in rows):
        parts.append(
            "The paper's is 800,000 steps of 20 patches of 256x256 pixels on DVD. This budget is "
            f"small, 1/{1 / share:,.0f} of its pixels: scores and even the order of the rows need "
            "not be the paper's."
        )
    return parts


def costs(rows: Sequence[Row]) -> list[str]:
    """What GFLOP and milliseconds are of."""
    parts = []
    for cost in _unique([each.metrics.get("cost") for each in _results(rows)], ("size", "device")):
        height, width = cost["size"]
        parts.append(
            f"GFLOP (2 a multiply-add) and time are of one frame of {height}x{width} pixels, "
            f"{cost['device']}."
        )
    return parts


def _results(rows: Sequence[Row]) -> list[Result]:
    return [each for row in rows for each in row.results]


def _source(config: Mapping[str, Any]) -> str:
    test = config.get("test") or config.get("val") or {}
    name = str(test.get("_target_", "")).rpartition(".")[2]
    if name == "Scenes":
        height, width = test["size"]
        return f"embedded scenes of {height}x{width} pixels (split {test['split']})"
    if "root" in test:
        return f"{Path(test['root']).name}/{test.get('blurry', '')}"
    return name or "unknown"


def _budget(result: Result) -> tuple[int, int, tuple[int, int]]:
    data = result.config["data"]
    height, width = data["patch"]
    return result.metrics["steps"], data["batch_size"], (height, width)


def _budget_text(budget: tuple[int, int, tuple[int, int]]) -> str:
    steps, batch, (height, width) = budget
    return f"{steps:,} steps of {batch} patches of {height}x{width} pixels"


def _pixels(budget: tuple[int, int, tuple[int, int]]) -> float:
    steps, batch, (height, width) = budget
    return float(steps * batch * height * width)


def _unique(items: Sequence[Any], keys: Sequence[str]) -> list[Any]:
    found: dict[str, Any] = {}
    for each in items:
        if each:
            found.setdefault(str([each.get(key) for key in keys]), each)
    return list(found.values())
