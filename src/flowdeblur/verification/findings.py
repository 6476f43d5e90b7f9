"""What is wrong with a data set, and what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        where: the file, folder, clip or split.
        wrong: what is wrong with it.
        remedy: what to do.
    """

    where: str
    wrong: str
    remedy: str

    def relative_to(self, roots: Iterable[str]) -> Finding:
        """Shorten its place by the folder that contains it."""
        where = self.where
        for root in roots:
            where = where.removeprefix(root)
        return replace(self, where=where)


def to_table(rows: Sequence[Sequence[str]], width: int) -> str:
    """Lay out rows as columns that together are as wide as the terminal.

    Args:
        rows: the first one is the heading.
        width: characters a line.

    Returns:
        Lines; long cells are wrapped.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 12:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        cells = [
            textwrap.wrap(cell, size, break_on_hyphens=False) or [""]
            for cell, size in zip(row, widths, strict=True)
        ]
        for number in range(max(map(len, cells))):
            parts = (
                (cell[number] if number < len(cell) else "").ljust(size)
                for cell, size in zip(cells, widths, strict=True)
            )
            lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def findings_table(findings: Sequence[Finding], width: int) -> str:
    """Lay out what is wrong, as where, what and the remedy."""
    return to_table([("where", "what is wrong", "remedy"), *map(astuple, findings)], width)


def some(names: Sequence[str], limit: int = 5) -> str:
    """Name a few of many."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def counted(number: int, noun: str) -> str:
    """Say "1 frame" and "2 frames"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
