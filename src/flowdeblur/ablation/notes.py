"""Notes below a table: the data and the budget that its numbers were made with."""

from __future__ import annotations

from collections.abc import Sequence

from flowdeblur.ablation.results import AblationRow
from flowdeblur.ablation.run_result import Budget, RunResult

_PAPER = Budget(steps=800_000, batch=20, patch=(256, 256))


def data_notes(rows: Sequence[AblationRow]) -> list[str]:
    """The test data and how they are scored."""
    results = _results(rows)
    sources = dict.fromkeys(each.source for each in results)
    frames = dict.fromkeys(len(each.frames) for each in results)
    if not results:
        return ["No run is done yet."]
    parts = [
        f"Test data: {' and '.join(sources)}, {' or '.join(map(str, frames))} frames. "
        "PSNR and SSIM are of each frame, then averaged over frames; "
        "SSIM is the mean of the color channels' (Wang et al. 2004)."
    ]
    blurry = results[0].test
    if {"psnr_blurry", "ssim_blurry"} <= blurry.keys():
        parts[0] += (
            f" The blurry input has {blurry['psnr_blurry']:.2f} dB, {blurry['ssim_blurry']:.4f}."
        )
    if len(sources) > 1 or len(frames) > 1:
        parts.append("CAUTION: the rows were tested on different data and cannot be compared.")
    return parts


def budget_notes(rows: Sequence[AblationRow]) -> list[str]:
    """The training of the rows, the number of seeds, and how the budget compares to the paper's."""
    budgets = [each.budget for each in _results(rows) if each.budget is not None]
    counts = sorted({len(row.results) for row in rows if row.results})
    if not budgets:
        return []
    seeds = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
    texts = dict.fromkeys(map(_budget_text, budgets))
    parts = [
        f"Budget: {' or '.join(texts)}; {seeds} seed{'s' * (counts[-1] > 1)}"
        + (", ± is their standard deviation." if counts[-1] > 1 else ".")
    ]
    if len(texts) > 1:
        parts.append("CAUTION: the budgets of the rows differ.")
    if any(each.minutes is not None for each in budgets):
        parts.append(
            "Rows have equal training time and unequal steps: they show which network learns "
            "fastest on this machine, not which one is best after its published training."
        )
    least, most = (choose(each.pixels for each in budgets) / _PAPER.pixels for choose in (min, max))
    if least < 0.5 and any(row.paper for row in rows):
        shares = dict.fromkeys(f"1/{1 / share:,.0f}" for share in (most, least))
        parts.append(
            f"The paper trains for {_budget_text(_PAPER)} on DVD. This budget is small, "
            f"{' to '.join(shares)} of its pixels: scores and the order of the rows may differ "
            "from the paper's."
        )
    return parts


def cost_notes(rows: Sequence[AblationRow]) -> list[str]:
    """The frame and the device that GFLOP and milliseconds are of."""
    return [
        f"GFLOP (2 a multiply-add) and time are of one frame of {width}x{height} pixels, {device}."
        for (height, width), device in dict.fromkeys(
            each.cost_of for each in _results(rows) if each.cost_of is not None
        )
    ]


def damage_notes(rows: Sequence[AblationRow]) -> list[str]:
    """The runs that were left out because their files are damaged, and the remedy."""
    return [
        f"Left out: {each}; delete its metrics.json and run it again."
        for row in rows
        for each in row.damage
    ]


def _results(rows: Sequence[AblationRow]) -> list[RunResult]:
    return [each for row in rows for each in row.results]


def _budget_text(budget: Budget) -> str:
    # Of equal times, the steps are in a column.
    amount = f"{budget.steps:,} steps" if budget.minutes is None else f"{budget.minutes:g} minutes"
    height, width = budget.patch
    return f"{amount} of {budget.batch} patches of {width}x{height} pixels"
