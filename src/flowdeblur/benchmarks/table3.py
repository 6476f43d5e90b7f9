"""The paper's Table III, measured: Markdown, CSV, LaTeX and a scatter plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from flowdeblur.benchmarks.network import Row
from flowdeblur.benchmarks.published import published
from flowdeblur.viz.charts import Point, scatter_chart

OURS = "proposed"


def to_markdown(rows: Sequence[Row], size: tuple[int, int], machine: str) -> str:
    """The table, what it was measured on, and the ratios to the proposed network.

    Args:
        rows: of one measurement.
        size: (H, W) of the frames in pixels.
        machine: device and versions.
    """
    header, *lines = cells(rows)
    text = [
        f"Networks, one frame of {size[1]}x{size[0]}. {machine}.",
        "",
        _line(header),
        _line(["---", *["---:"] * (len(header) - 1)]),
        *map(_line, lines),
        "",
        "Ratio to copies: time over that of the same network whose operator copies its features.",
    ]
    if any(row.streaming for row in rows):
        text += ["Stream: one frame of a running stream; training and evaluation use windows."]
    comparison = list(ratios(rows))
    return "\n".join([*text, *([""] if comparison else []), *comparison]) + "\n"


def to_csv(rows: Sequence[Row]) -> str:
    """The table as comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(cells(rows))
    return text.getvalue()


def to_latex(rows: Sequence[Row]) -> str:
    """The table as a LaTeX ``tabular`` with booktabs' rules."""
    header, *lines = ([each.replace("_", r"\_") for each in line] for line in cells(rows))
    body = [" & ".join(line) + r" \\" for line in (header, *lines)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def to_svg(rows: Sequence[Row], machine: str) -> str:
    """Published PSNR over measured float32 time; the area of a marker is the parameters."""
    points = [
        Point(published(row.name).label, row.milliseconds["float32"] / 1e3, psnr, row.parameters)
        for row in rows
        if (psnr := published(row.name).psnr) is not None and "float32" in row.milliseconds
    ]
    title = f"PSNR on DVD as published, over the time of a frame on {machine}"
    return scatter_chart(title, points, "seconds a frame, float32", "dB")


def cells(rows: Sequence[Row]) -> list[list[str]]:
    """The header and a line for each row, as texts; nothing where nothing is known."""
    dtypes = list(rows[0].milliseconds) if rows else []
    header = ["network", "parameters", "GFLOP"]
    header += [f"ms {dtype}" for dtype in dtypes] + [f"MiB {dtype}" for dtype in dtypes]
    header += ["ratio to copies", "paper: s", "paper: dB on DVD"]
    table = [header]
    for row in rows:
        known = published(row.name)
        copying = row.milliseconds_copying
        ratio = row.milliseconds["float32"] / copying if copying else None
        table.append(
            [
                known.label + (", stream" if row.streaming else ""),
                f"{row.parameters:,}",
                f"{row.gflop:.1f}",
                *(f"{row.milliseconds[dtype]:.0f}" for dtype in dtypes),
                *(_number(row.peak_mib.get(dtype), ".0f") for dtype in dtypes),
                _number(ratio, ".3f"),
                _number(known.seconds, "g"),
                _number(known.psnr, ".2f"),
            ]
        )
    return table


def ratios(rows: Sequence[Row]) -> Iterator[str]:
    """How many times the time and memory of the proposed network each other one takes."""
    ours = next((row for row in rows if row.name == OURS), None)
    for row in rows:
        if ours is None or row is ours:
            continue
        time = [
            f"{row.milliseconds[dtype] / milliseconds:.2f} in {dtype}"
            for dtype, milliseconds in ours.milliseconds.items()
        ]
        memory = [
            f"{row.peak_mib[dtype] / peak:.2f} in {dtype}"
            for dtype, peak in ours.peak_mib.items()
            if dtype in row.peak_mib
        ]
        yield (
            f"- {published(row.name).label}: {', '.join(time)} times the time of ours"
            + (f"; {', '.join(memory)} times the memory" if memory else "")
        )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
