"""Bars as an SVG picture, which repositories and browsers show as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
