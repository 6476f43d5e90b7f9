"""The table as a page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import pairwise

import numpy as np

import flowdeblur
from flowdeblur.ablation.charts import Series, line_chart, stroke
from flowdeblur.ablation.crops import crops
from flowdeblur.ablation.results import Row
from flowdeblur.ablation.statistics import quantile_edges, rank_correlation
from flowdeblur.ablation.table import Column, Table

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 46rem; margin: .4rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; }
thead th { border-bottom: 2px solid var(--line); white-space: normal; vertical-align: bottom;
  min-width: 4.5rem; }
tbody th { text-align: left; font-weight: normal; position: sticky; left: 0; background: Canvas; }
tbody tr { border-bottom: 1px solid var(--line); }
tr.base > * { background: linear-gradient(var(--soft), var(--soft)), Canvas; }
.words td, .words thead th { text-align: left; }
.charts, .tiles { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit,
  minmax(min(100%, 21rem), 1fr)); }
.tiles { gap: .75rem .5rem; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
figure { margin: 0; } figcaption { font-size: .8125rem; line-height: 1.3; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; }
.pair > * { width: 100%; aspect-ratio: 1; image-rendering: pixelated; }
.pair span { display: grid; place-items: center; font-size: .8125rem; background: var(--soft); }
svg { width: 100%; max-width: 34rem; height: auto; display: block; font-size: 12px; }
svg text { fill: currentColor; } .grid { stroke: var(--line); stroke-width: .6; }
.level { stroke: currentColor; stroke-dasharray: 3 3; opacity: .6; }
.line { fill: none; stroke-width: 1.8; } circle { fill: Canvas; stroke-width: 1.6; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .875rem; list-style: none;
  padding: 0; margin: .5rem 0; }
.legend svg { display: inline-block; width: 28px; height: 10px; vertical-align: middle; }
"""


def to_html(table: Table) -> str:
    """Write the page: the table, learning curves, motion, order and crops.

    Args:
        table: with rows whose runs' pictures are read.

    Returns:
        HTML that refers to no other file and no other machine.
    """
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(table.title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(table.title)}</h1>",
        '<div class="scroll" tabindex="0">',
        _table(table.columns(), [row is table.base for row in table.rows]),
        "</div>",
        *(f"<p>{escape(sentence)}</p>" for sentence in table.caption()),
        *_curves(table),
        *_order(table.rows),
        *_pictures(table),
        f"<p><small>Written by flowdeblur {flowdeblur.__version__}.</small></p></html>\n",
    ]
    return "\n".join(parts)


def _table(columns: list[Column], marked: list[bool], kind: str = "numbers") -> str:
    lines = [f'<table class="{kind}"><thead><tr>']
    lines += [f'<th scope="col">{escape(column.heading)}</th>' for column in columns]
    lines.append("</tr></thead><tbody>")
    for place, mark in enumerate(marked):
        lines.append('<tr class="base">' if mark else "<tr>")
        for number, column in enumerate(columns):
            cell = escape(column.cells[place])
            if place in column.best:
                cell = f"<b>{cell}</b>"
            lines.append(f"<td>{cell}</td>" if number else f'<th scope="row">{cell}</th>')
        lines.append("</tr>")
    return "".join([*lines, "</tbody></table>"])


def _curves(table: Table) -> Iterable[str]:
    # The reference comes first: it has the colour of the text and lies on top.
    rows = [table.base, *(row for row in table.rows if row is not table.base)]
    charts = [chart for chart in (_learning(rows), _motion(rows)) if chart]
    if not charts:
        return
    yield "<h2>Learning, and motion</h2>"
    items = (
        f'<li><svg viewBox="0 0 28 10"><path class="line" {stroke(place)} d="M0 5H28"/></svg> '
        f"{escape(row.label)}</li>"
        for place, row in enumerate(rows)
        if row.results
    )
    yield f'<ul class="legend">{"".join(items)}</ul>'
    yield f'<div class="charts">{"".join(charts)}</div>'


def _learning(rows: list[Row]) -> str | None:
    series, late, blurry = [], [], None
    for place, row in enumerate(rows):
        steps: dict[int, list[float]] = {}
        for result in row.results:
            for entry in result.metrics.get("history", []):
                if "val/psnr" in entry:
                    steps.setdefault(entry["step"], []).append(entry["val/psnr"])
                    blurry = entry.get("val/psnr_blurry", blurry)
        # Where a seed was stopped in between, it alone has that step.
        points = [
            (float(step), sum(scores) / len(scores))
            for step, scores in sorted(steps.items())
            if len(scores) == len(row.results)
        ]
        series.append(Series(row.label, points, place))
        late += [y for _, y in points[len(points) // 2 :]]
    if not late:
        return None
    chart = line_chart(
        series,
        "steps",
        "validation PSNR (dB)",
        level=("blurry input", blurry) if blurry is not None else None,
        lowest=min(late) - 0.2 * (max(late) - min(late)),
    )
    return (
        f"<figure>{chart}<figcaption>Validation PSNR (dB), mean over seeds.</figcaption></figure>"
    )


def _motion(rows: list[Row]) -> str | None:
    keys = rows[0].keys
    known = ((row.per_frame("motion_px", keys), "mean motion (px a frame)") for row in rows)
    # Rows without flow were given none; where the data know none, blur tells of motion.
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
    # The last edge is the largest value itself, which belongs to the last bin.
    places = np.digitize(values, edges[1:-1])
    bins = [np.flatnonzero(places == n) for n in range(len(labels))]
    series, cells = [], []
    for place, row in enumerate(rows):
        psnr, blurry = row.per_frame("psnr", keys), row.per_frame("psnr_blurry", keys)
        if psnr is None or blurry is None:
            continue
        gains = [(float(n), float((psnr - blurry)[each].mean())) for n, each in enumerate(bins)]
        series.append(Series(row.label, gains, place))
        cells.append((row.label, [f"{psnr[each].mean():.2f}" for each in bins]))
    if not series:
        return None
    columns = [Column("PSNR (dB) at " + title, [label for label, _ in cells])] + [
        Column(label, [each[n] for _, each in cells]) for n, label in enumerate(labels)
    ]
    chart = line_chart(
        series, title, "gain over the blurry frame (dB)", level=("", 0.0), x_labels=labels
    )
    return (
        f"<figure>{chart}<figcaption>PSNR gained over the blurry frame (dB), by the frame's "
        f"motion; {len(keys)} frames in {len(bins)} equal parts.</figcaption>"
        f'<details><summary>as numbers</summary><div class="scroll">'
        f"{_table(columns, [False] * len(cells))}</div></details></figure>"
    )


def _order(rows: Iterable[Row]) -> Iterable[str]:
    both = [
        (row.label, row.paper["psnr"], score)
        for row in rows
        if "psnr" in row.paper and (score := row.mean("psnr")) is not None
    ]
    correlation = rank_correlation([each[1] for each in both], [each[2] for each in both])
    if correlation is None:
        return
    yield "<h2>Order of the rows</h2>"
    yield (
        f"<p>Spearman's rank correlation with the paper's PSNR is {correlation:.2f} over "
        f"{len(both)} rows (1 is the same order, 0 none, -1 the reverse).</p>"
    ).replace("-", "\N{MINUS SIGN}")
    theirs = [label for label, *_ in sorted(both, key=lambda each: -each[1])]
    ours = [label for label, *_ in sorted(both, key=lambda each: -each[2])]
    ranks = [str(n + 1) for n in range(len(both))]
    columns = [Column("", ranks), Column("paper", theirs), Column("here", ours)]
    yield f'<div class="scroll">{_table(columns, [False] * len(both), "words")}</div>'


def _pictures(table: Table) -> Iterable[str]:
    frames = crops(table)
    if not frames:
        return
    yield "<h2>The same frames from every row</h2>"
    yield (
        "<p>Restored, and beside it the predicted flow: hue says where to, saturation how far. "
        "The crop is where blurry and sharp frame differ most. First seed.</p>"
    )
    for frame in frames:
        yield f"<h3>{escape(frame.key)}</h3>" + '<div class="tiles">'
        for tile in frame.tiles:
            images = "".join(
                f'<img alt="{escape(what)}" src="{source}">' for what, source in tile.images
            )
            images += "<span>no flow</span>" * (2 - len(tile.images))
            yield (
                f'<figure><div class="pair">{images}</div>'
                f"<figcaption>{escape(tile.caption)}</figcaption></figure>"
            )
        yield "</div>"
