"""Line charts as inline SVG, drawn by Matplotlib."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    matplotlib = import_extra("matplotlib", "report")
    figure_class = import_extra("matplotlib.figure", "report").Figure
    with matplotlib.rc_context(_STYLE):
        figure = figure_class(figsize=(5.2, 3.6), layout="constrained")
        axes: Axes = figure.add_subplot()
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
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    # Within HTML, namespaces and metadata have no use.
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"|<metadata>.*?</metadata>', "", file.getvalue(), flags=re.S)
    return svg[svg.index("<svg") :].replace(_TEXT, "currentColor")
