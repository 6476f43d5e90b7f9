"""Line charts as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# Okabe and Ito's colours, told apart with any colour vision; the first is the text's own.
_COLOURS = (
    "currentColor", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
)  # fmt: skip
_DASHES = ("", "7 3", "2 3", "9 3 2 3")
_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 44


@dataclass(frozen=True)
class Series:
    """A line.

    Attributes:
        label: of it.
        points: (x, y), ascending in x.
        place: which colour and dash it has.
    """

    label: str
    points: Sequence[tuple[float, float]]
    place: int


def stroke(place: int) -> str:
    """Colour and dash of a line, as SVG attributes."""
    colour = _COLOURS[place % len(_COLOURS)]
    dash = _DASHES[place // len(_COLOURS) % len(_DASHES)]
    return f'stroke="{colour}"' + (f' stroke-dasharray="{dash}"' if dash else "")


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
        series: the lines, of which at least one has a point.
        x_title: of the axis, with the unit.
        y_title: of the axis, with the unit.
        level: a labelled horizontal line.
        x_labels: at x = 0, 1, ...; None counts instead.
        lowest: what is lower leaves the chart at the bottom.

    Returns:
        An ``<svg>`` element.
    """
    points = [point for each in series for point in each.points]
    ys = [y for _, y in points] + ([level[1]] if level else [])
    if x_labels is None:
        x_ticks = _ticks(min(0.0, *(x for x, _ in points)), max(x for x, _ in points))
        x_range, labels = (x_ticks[0], x_ticks[-1]), [f"{x:,g}" for x in x_ticks]
    else:
        x_ticks, labels = [float(n) for n in range(len(x_labels))], list(x_labels)
        x_range = (-0.4, len(x_labels) - 0.6)
    y_ticks = _ticks(max(min(ys), min(lowest, max(ys))), max(ys))

    def x_at(x: float) -> float:
        share = (x - x_range[0]) / ((x_range[1] - x_range[0]) or 1)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y_at(y: float) -> float:
        share = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(y_title)} by {escape(x_title)}">'
    ]
    for y in y_ticks:
        parts.append(f'<path class="grid" d="M{_LEFT} {y_at(y)}H{right}"/>')
        parts.append(
            f'<text x="{_LEFT - 5}" y="{y_at(y) + 4}" text-anchor="end">'
            f"{_decimal(y, y_ticks)}</text>"
        )
    for x, label in zip(x_ticks, labels, strict=True):
        parts.append(
            f'<text x="{x_at(x)}" y="{bottom + 16}" text-anchor="middle">{escape(label)}</text>'
        )
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text class="title" x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_title)}</text>"
    )
    if level:
        parts.append(f'<path class="level" d="M{_LEFT} {y_at(level[1])}H{right}"/>')
        parts.append(f'<text x="{_LEFT + 4}" y="{y_at(level[1]) - 4}">{escape(level[0])}</text>')
    # Lines that begin far below the others leave the chart instead of flattening them.
    clip = f"clip{abs(hash((x_title, y_title, len(points)))) % 10**8}"
    parts.append(
        f'<clipPath id="{clip}"><rect x="{_LEFT - 4}" y="{_TOP - 4}" '
        f'width="{right - _LEFT + 8}" height="{bottom - _TOP + 4}"/></clipPath>'
        f'<g clip-path="url(#{clip})">'
    )
    for each in reversed(series):  # the first lies on top
        path = "L".join(f"{x_at(x)} {y_at(y)}" for x, y in each.points)
        if path:
            parts.append(f'<path class="line" {stroke(each.place)} d="M{path}"/>')
        for x, y in each.points:
            parts.append(
                f'<circle cx="{x_at(x)}" cy="{y_at(y)}" r="3" {stroke(each.place)}>'
                f"<title>{escape(each.label)}: {y:.2f}</title></circle>"
            )
    return "".join([*parts, "</g></svg>"])


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers, the first not above ``low`` and the last not below ``high``."""
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if span / (power * factor) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _decimal(value: float, ticks: Sequence[float]) -> str:
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    if round((ticks[1] - ticks[0]) * 10**digits, 6) % 1:
        digits += 1  # steps of 2.5
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
