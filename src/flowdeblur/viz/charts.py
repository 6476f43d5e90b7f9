"""Charts as SVG, drawn by Matplotlib: lines within a page; bars and discs as files."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from flowdeblur.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colors, which any color vision can separate; the first one is the text's.
_TEXT = "#010203"  # replaced by the text color of the page, light or dark
_COLORS = (_TEXT, "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", ":", "-.")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flowdeblur",  # the same page every time
    "font.size": 9,
    "text.color": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Attributes:
        label: name in the legend.
        points: (x, y), ascending in x.
    """

    label: str
    points: Sequence[tuple[float, float]]


def line_chart(
    series: Sequence[Series],
    x_title: str,
    y_title: str,
    *,
    level: tuple[str, float] | None = None,
    x_labels: Sequence[str] | None = None,
    lowest: float = -math.inf,
) -> str:
    """Draw lines over common axes.

    Args:
        series: the lines; the first one has the text's color and is drawn on top.
        x_title: title of the axis, with the unit.
        y_title: title of the axis, with the unit.
        level: label and y of a horizontal line.
        x_labels: labels of x = 0, 1, ...; None labels the numbers.
        lowest: y at which the chart is cut off.

    Returns:
        An ``<svg>`` element.

    Raises:
        UserError: Matplotlib is not installed.
    """
    file = io.StringIO()
    with _drawing((5.2, 3.6), file) as axes:
        for place, each in enumerate(series):
            axes.plot(
                [x for x, _ in each.points],
                [y for _, y in each.points],
                label=each.label,
                color=_COLORS[place % len(_COLORS)],
                linestyle=_DASHES[place // len(_COLORS) % len(_DASHES)],
                marker="o",
                markersize=3,
                zorder=3 + 1 / (1 + place),
            )
        if level is not None:
            axes.axhline(level[1], color=_TEXT, linestyle=":", alpha=0.6, label=level[0] or None)
        if x_labels is not None:
            axes.set_xticks(range(len(x_labels)), x_labels)
        ys = [y for each in series for _, y in each.points]
        if min(ys) < lowest < max(ys):  # a line that starts far below would flatten the others
            axes.set_ylim(bottom=lowest)
        axes.set(xlabel=x_title, ylabel=y_title)
        axes.legend()
    # Within HTML, namespaces and metadata have no use.
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"|<metadata>.*?</metadata>', "", file.getvalue(), flags=re.S)
    return svg[svg.index("<svg") :].replace(_TEXT, "currentColor")


Bar = tuple[str, float, str]
"""Its label, its length, and the words behind it."""


def bar_chart(title: str, groups: Mapping[str, Sequence[Bar]], *, full: float) -> str:
    """Draw horizontal bars.

    Args:
        title: above all.
        groups: bars under a heading each.
        full: value of a bar over the whole width; longer ones are cut there.

    Returns:
        The text of an SVG file.

    Raises:
        UserError: Matplotlib is not installed.
    """
    rows = [row for heading, bars in groups.items() for row in ((heading, None, ""), *bars)]
    file = io.StringIO()
    with _drawing((9, 0.6 + 0.2 * len(rows)), file, transparent=False) as axes:
        for place, (_, value, words) in enumerate(rows):
            if value is not None:
                axes.barh(place, min(max(value, 0), full), color=_COLORS[2])
                axes.text(1.02 * full, place, words, va="center")
        axes.set_yticks(range(len(rows)), [label for label, *_ in rows])
        axes.set(xlim=(0, full), ylim=(len(rows) - 0.5, -0.5), title=title)
    return file.getvalue()


class Point(NamedTuple):
    """One disc of a scatter plot; its area is proportional to ``size``."""

    label: str
    x: float
    y: float
    size: float


def scatter_chart(title: str, points: Sequence[Point], x_title: str, y_title: str) -> str:
    """Draw labelled discs, the horizontal axis logarithmic; otherwise as :func:`bar_chart`."""
    largest = max((each.size for each in points), default=1.0)
    file = io.StringIO()
    with _drawing((7.2, 4.4), file, transparent=False) as axes:
        for rank, each in enumerate(sorted(points, key=lambda point: point.x)):
            axes.scatter(each.x, each.y, 600 * each.size / largest, _COLORS[2], alpha=0.7)
            place = (0, -22 if rank % 2 else 15)  # neighbours' labels on different sides
            axes.annotate(
                each.label, (each.x, each.y), place, textcoords="offset points", ha="center"
            )
        axes.margins(0.15)
        axes.set(xscale="log", xlabel=x_title, ylabel=y_title)
        axes.set_title(textwrap.fill(title, 80), fontsize="medium")
    return file.getvalue()


@contextmanager
def _drawing(
    inches: tuple[float, float], file: io.StringIO, *, transparent: bool = True
) -> Iterator[Axes]:
    """Axes whose drawing goes to ``file`` at the end."""
    matplotlib = import_extra("matplotlib", "report")
    figure = import_extra("matplotlib.figure", "report").Figure(inches, layout="constrained")
    with matplotlib.rc_context(_STYLE):
        yield figure.add_subplot()
        figure.savefig(file, format="svg", transparent=transparent, metadata={"Date": None})
