"""Bars and scatter plots as SVG images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

Bar = tuple[str, float, str]
"""Its label, its length, and the words behind it."""

_ROW, _LABELS, _LENGTH, _WORDS = 18, 250, 400, 190  # pixels


def bars(title: str, groups: Mapping[str, Sequence[Bar]], *, full: float) -> str:
    """Draw horizontal bars.

    Args:
        title: above all.
        groups: bars under a heading each.
        full: value of a bar over the whole width; longer ones are cut there.

    Returns:
        The text of an SVG file.
    """
    lines: list[str] = []
    y = 2 * _ROW
    for heading, group in groups.items():
        y += _ROW
        lines.append(f'<text x="8" y="{y}" font-weight="bold">{escape(heading)}</text>')
        for label, value, words in group:
            y += _ROW
            length = _LENGTH * min(max(value / full, 0), 1)
            bar = f'<rect x="{_LABELS}" y="{y - 11}" height="13"'
            lines += [
                f'<text x="{_LABELS - 8}" y="{y}" text-anchor="end">{escape(label)}</text>',
                f'{bar} width="{_LENGTH}" fill="#e4e7ec"/>',
                f'{bar} width="{length:.1f}" fill="#2b6cb0"/>',
                f'<text x="{_LABELS + _LENGTH + 8}" y="{y}">{escape(words)}</text>',
            ]
    width = _LABELS + _LENGTH + _WORDS
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + _ROW}" '
        f'width="{width}" font-family="sans-serif" font-size="12">\n'
        '<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="8" y="{_ROW}" font-size="11">{escape(title)}</text>\n'
    )
    return head + "\n".join(lines) + "\n</svg>\n"


class Point(NamedTuple):
    """One marker of a scatter plot; its area is proportional to ``size``."""

    label: str
    x: float
    y: float
    size: float


def scatter(title: str, points: Sequence[Point], x_label: str, y_label: str) -> str:
    """Draw labelled discs, the horizontal axis logarithmic.

    Args:
        title: above all.
        points: with x > 0.
        x_label: name and unit of the horizontal axis.
        y_label: name and unit of the vertical axis.

    Returns:
        The text of an SVG file.
    """
    width, height, margin = 720, 440, 60
    exponents = [math.log10(each.x) for each in points] or [0.0]
    left, right = math.floor(min(exponents) * 3) / 3, math.ceil(max(exponents) * 3) / 3 + 1 / 3
    levels = [each.y for each in points] or [0.0]
    bottom, top = math.floor(min(levels)), math.ceil(max(levels) + 0.25)
    largest = max((each.size for each in points), default=1.0)

    def x(value: float) -> float:
        return margin + (math.log10(value) - left) / (right - left) * (width - 2 * margin)

    def y(value: float) -> float:
        return height - margin - (value - bottom) / (top - bottom) * (height - 2 * margin)

    lines = [f'<text x="8" y="18">{escape(title)}</text>']
    for level in range(bottom, top + 1):
        lines += [
            f'<line x1="{margin}" x2="{width - margin}" y1="{y(level):.1f}" y2="{y(level):.1f}" '
            'stroke="#e4e7ec"/>',
            f'<text x="{margin - 8}" y="{y(level) + 4:.1f}" text-anchor="end">{level}</text>',
        ]
    for third in range(round(left * 3), round(right * 3) + 1):
        value = (1, 2, 5)[third % 3] * 10.0 ** (third // 3)
        if left <= math.log10(value) <= right:
            lines.append(
                f'<text x="{x(value):.1f}" y="{height - margin + 18}" text-anchor="middle">'
                f"{value:g}</text>"
            )
    lines += [
        f'<text x="{width / 2}" y="{height - 16}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="8" y="{margin - 16}">{escape(y_label)}</text>',
    ]
    for point in points:
        radius = 14 * math.sqrt(point.size / largest)
        lines += [
            f'<circle cx="{x(point.x):.1f}" cy="{y(point.y):.1f}" r="{radius:.1f}" fill="#2b6cb0" '
            'fill-opacity="0.7"/>',
            f'<text x="{x(point.x) + radius + 4:.1f}" y="{y(point.y) + 4:.1f}">'
            f"{escape(point.label)}</text>",
        ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        'font-family="sans-serif" font-size="12">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(lines) + "\n</svg>\n"
    )
