"""The table as a page: learning curves, gain by motion, order of the rows, and crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup

import flowdeblur
from flowdeblur.ablation.crops import crops
from flowdeblur.ablation.results import AblationRow
from flowdeblur.ablation.statistics import quantile_edges
from flowdeblur.ablation.table import AblationTable, Column
from flowdeblur.pages import render
from flowdeblur.viz.charts import Series, line_chart


@dataclass(frozen=True)
class Chart:
    """A chart, its caption, and its numbers as a table where they are few."""

    svg: Markup
    caption: str
    columns: Sequence[Column] = ()


@dataclass(frozen=True)
class Order:
    """The rows in the published order and in the measured one, and how well these agree."""

    sentence: str
    columns: Sequence[Column]


def to_html(table: AblationTable) -> str:
    """Write the page.

    Args:
        table: table of runs, whose images are read.

    Returns:
        HTML that refers to no other file and no other machine.

    Raises:
        UserError: Matplotlib is not installed.
    """
    # The reference comes first: it has the color of the text and is drawn on top.
    rows = [table.reference, *(row for row in table.rows if row is not table.reference)]
    return render(
        "table.html",
        title=table.title,
        columns=table.columns(),
        rows=len(table.rows),
        reference=table.rows.index(table.reference),
        notes=table.notes(),
        charts=[chart for chart in (_learning(rows), _motion(rows)) if chart],
        order=_order(table),
        frames=crops(table),
        version=flowdeblur.__version__,
    )


def _learning(rows: list[AblationRow]) -> Chart | None:
    series, late, blurry = [], [], None
    for row in rows:
        steps: dict[float, list[float]] = {}
        for result in row.results:
            for entry in result.history:
                if "val/psnr" in entry:
                    steps.setdefault(entry["step"], []).append(entry["val/psnr"])
                    blurry = entry.get("val/psnr_blurry", blurry)
        # A run that was stopped in between has steps that other seeds do not have.
        points = [
            (step, sum(scores) / len(scores))
            for step, scores in sorted(steps.items())
            if len(scores) == len(row.results)
        ]
        if points:
            series.append(Series(row.label, points))
            late += [y for _, y in points[len(points) // 2 :]]
    if not late:
        return None
    level = ("blurry input", blurry) if blurry is not None else None
    lowest = min(late) - 0.2 * (max(late) - min(late))
    svg = line_chart(series, "steps", "validation PSNR (dB)", level=level, lowest=lowest)
    return Chart(Markup(svg), "Validation PSNR (dB), mean over seeds.")


def _motion(rows: list[AblationRow]) -> Chart | None:
    keys = rows[0].keys
    # Rows without flow do not load it; where the data have none, blur stands in for motion.
    known = ((row.per_frame("motion_px", keys), "mean motion (px a frame)") for row in rows)
    values, title = next(
        (each for each in known if each[0] is not None),
        (rows[0].per_frame("psnr_blurry", keys), "PSNR of the blurry frame (dB)"),
    )
    if values is None or len(keys) < 4:
        return None
    edges = quantile_edges(values, min(4, len(keys) // 4) or 1)
    if len(edges) < 3:
        return None
    labels = [f"{low:.1f} to {high:.1f}" for low, high in pairwise(edges)]
    places = np.digitize(values, edges[1:-1])  # the largest value belongs to the last bin
    bins = [np.flatnonzero(places == n) for n in range(len(labels))]
    series, cells = [], []
    for row in rows:
        psnr, blurry = row.per_frame("psnr", keys), row.per_frame("psnr_blurry", keys)
        if psnr is None or blurry is None:
            continue
        gains = [(float(n), float((psnr - blurry)[each].mean())) for n, each in enumerate(bins)]
        series.append(Series(row.label, gains))
        cells.append((row.label, [f"{psnr[each].mean():.2f}" for each in bins]))
    if not series:
        return None
    svg = line_chart(
        series, title, "gain over the blurry frame (dB)", level=("", 0.0), x_labels=labels
    )
    caption = (
        f"PSNR gained over the blurry frame (dB), by the frame's motion; {len(keys)} frames in "
        f"{len(bins)} equal parts."
    )
    columns = [
        Column("row", "PSNR (dB) at " + title, [label for label, _ in cells]),
        *(Column(label, label, [each[n] for _, each in cells]) for n, label in enumerate(labels)),
    ]
    return Chart(Markup(svg), caption, columns)


def _order(table: AblationTable) -> Order | None:
    agreement = table.agreement()
    if agreement is None:
        return None
    theirs = [row.label for row in sorted(agreement.rows, key=lambda row: -row.paper["psnr"])]
    ours = [row.label for row in sorted(agreement.rows, key=lambda row: -(row.mean("psnr") or 0))]
    ranks = [str(n + 1) for n in range(len(ours))]
    columns = [
        Column("rank", "", ranks),
        Column("paper", "paper", theirs),
        Column("here", "here", ours),
    ]
    return Order(agreement.sentence, columns)
