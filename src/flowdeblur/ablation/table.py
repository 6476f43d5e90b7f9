"""The table: columns from rows, and its plain forms."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowdeblur.ablation.describe import budget, costs, data
from flowdeblur.ablation.results import Row
from flowdeblur.ablation.statistics import bootstrap_interval
from flowdeblur.errors import UserError

_NONE, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        heading: with the unit.
        cells: a text for each row.
        best: places of the rows to print in bold.
    """

    heading: str
    cells: Sequence[str]
    best: frozenset[int] = frozenset()


@dataclass
class Table:
    """Rows side by side, and compared with one of them.

    Args:
        title: of the table.
        rows: in their order.
        reference: name of the row that the others are compared with; None takes ``ours``, or else
            the first.

    Raises:
        UserError: there is no row at all, or no such reference.
    """

    title: str
    rows: Sequence[Row]
    reference: str | None = None
    differences: dict[str, tuple[float, float, float]] = field(init=False)
    """Mean difference of PSNR to the reference and its interval, by name of the row."""

    def __post_init__(self) -> None:
        if not self.rows:
            raise UserError(
                f"{self.title}: no run yet, so that there is nothing to tabulate; start them with "
                "`flowdeblur ablate run SWEEP`, or set --runs to where they lie"
            )
        names = [row.name for row in self.rows]
        if self.reference is not None and self.reference not in names:
            raise UserError(f"--reference {self.reference}: no such row; {', '.join(names)}")
        base = next((row for row in self.rows if row.name == (self.reference or "ours")), None)
        self.base = base or self.rows[0]
        self.differences = {
            row.name: difference
            for row in self.rows
            if row is not self.base and (difference := _difference(row, self.base))
        }

    def columns(self) -> list[Column]:
        """All columns; those that no row has anything for are left out."""
        rows, base = self.rows, self.base
        columns = [
            _best("PSNR, paper (dB)", [row.paper.get("psnr") for row in rows], 2),
            _best("SSIM, paper", [row.paper.get("ssim") for row in rows], 3),
            self._scores("PSNR (dB)", "psnr", 2),
            self._scores("SSIM", "ssim", 4),
            Column(f"difference to {base.label} (dB)", [self._compared(row) for row in rows]),
            Column("same frame twice (dB)", [_same_frame(row) for row in rows]),
            Column("parameters", [_number(row.average("parameters"), 0) for row in rows]),
            Column("GFLOP", [_number(row.average("cost", "gflop"), 2) for row in rows]),
            Column("ms a frame", [_number(row.average("cost", "milliseconds"), 1) for row in rows]),
            Column("training (min)", [_number(_minutes(row), 1) for row in rows]),
        ]
        told = [column for column in columns if any(cell != _NONE for cell in column.cells)]
        return [Column("", [row.label for row in rows]), *told]

    def caption(self) -> list[str]:
        """What one has to know to read the numbers, a sentence or two each."""
        parts = [*data(self.rows), *budget(self.rows)]
        if any(self.differences.values()):
            parts.append(
                "Differences are of PSNR, with the 95 % interval of a bootstrap over test frames, "
                "paired; it does not hold what another seed would change."
            )
        if any(row.scores("psnr_same_frame") for row in self.rows):
            parts.append(
                "Same frame twice: PSNR when the frame stands in for its neighbours; what is lost "
                "in brackets is what the neighbours are worth."
            )
        return [*parts, *costs(self.rows)]

    def _scores(self, heading: str, name: str, digits: int) -> Column:
        column = _best(heading, [row.mean(name) for row in self.rows], digits)
        cells = []
        for row, cell in zip(self.rows, column.cells, strict=True):
            deviation = row.deviation(name)
            spread = f" ± {deviation:.{digits}f}" if deviation is not None else ""
            cells.append((row.missing if name == "psnr" else None) or cell + spread)
        return Column(heading, cells, column.best)

    def _compared(self, row: Row) -> str:
        if row.name not in self.differences:
            return _NONE
        mean, low, high = (_signed(each) for each in self.differences[row.name])
        return f"{mean} [{low}, {high}]"


def to_markdown(table: Table) -> str:
    """The table for a README."""
    columns = table.columns()
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|---|" + "---:|" * (len(columns) - 1),
    ]
    for place in range(len(table.rows)):
        cells = [
            f"**{column.cells[place]}**" if place in column.best else column.cells[place]
            for column in columns
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *table.caption(), ""])


def to_latex(table: Table) -> str:
    """The table for a paper; needs the package booktabs."""
    columns = table.columns()
    lines = [
        r"\begin{table}",
        r"\caption{" + _escape(" ".join(table.caption())) + "}",
        r"\begin{tabular}{l" + "r" * (len(columns) - 1) + "}",
        r"\toprule",
        " & ".join(_escape(column.heading) for column in columns) + r" \\",
        r"\midrule",
    ]
    for place in range(len(table.rows)):
        cells = [
            rf"\textbf{{{_escape(column.cells[place])}}}"
            if place in column.best
            else _escape(column.cells[place])
            for column in columns
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def to_csv(table: Table) -> str:
    """The numbers of the table, unrounded; what is unknown is empty."""
    headings, rows = numbers(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue()


def numbers(table: Table) -> tuple[list[str], list[list[str | float | None]]]:
    """The headings and the rows of numbers, unrounded; None stands for what is unknown."""
    names = ("psnr", "ssim", "psnr_blurry", "ssim_blurry", "psnr_same_frame", "epe")
    headings = [
        *("row", "label", "seeds", "paper_psnr", "paper_ssim"),
        *(f"{name}{end}" for name in names for end in ("", "_std")),
        *("psnr_difference", "psnr_difference_low", "psnr_difference_high"),
        *("parameters", "gflop", "milliseconds", "training_seconds"),
    ]
    return headings, [
        [
            *(row.name, row.label, len(row.results)),
            *(row.paper.get("psnr"), row.paper.get("ssim")),
            *(each for name in names for each in (row.mean(name), row.deviation(name))),
            *table.differences.get(row.name, (None, None, None)),
            *(row.average("parameters"), row.average("cost", "gflop")),
            *(row.average("cost", "milliseconds"), row.average("seconds")),
        ]
        for row in table.rows
    ]


def _difference(row: Row, base: Row) -> tuple[float, float, float] | None:
    """Mean and interval of the frames' PSNR less the reference's; None if frames differ."""
    if set(row.keys) != set(base.keys):
        return None
    first, second = row.per_frame("psnr", row.keys), base.per_frame("psnr", row.keys)
    if first is None or second is None:
        return None
    differences = first - second
    return float(differences.mean()), *bootstrap_interval(differences)


def _best(heading: str, values: Sequence[float | None], digits: int) -> Column:
    """Numbers of which the highest is best; as printed, so that equals are equal."""
    cells = [_number(value, digits) for value in values]
    known = [value for value in values if value is not None]
    top = _number(max(known), digits) if len(known) > 1 else None
    return Column(heading, cells, frozenset(n for n, cell in enumerate(cells) if cell == top))


def _same_frame(row: Row) -> str:
    twice, usual = row.mean("psnr_same_frame"), row.mean("psnr")
    if twice is None or usual is None:
        return _NONE
    return f"{twice:.2f} ({_signed(twice - usual)})"


def _minutes(row: Row) -> float | None:
    seconds = row.average("seconds")
    return None if seconds is None else seconds / 60


def _number(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:,.{digits}f}"


def _signed(value: float) -> str:
    text = f"{value:+.2f}"
    return "0.00" if text in ("-0.00", "+0.00") else text.replace("-", _MINUS)


def _escape(text: str) -> str:
    for plain, escaped in (
        ("\\", r"\textbackslash "), ("&", r"\&"), ("%", r"\%"), ("_", r"\_"), ("#", r"\#"),
        ("±", r"$\pm$"), (_MINUS, "$-$"), (_NONE, "--"),
    ):  # fmt: skip
        text = text.replace(plain, escaped)
    return text
