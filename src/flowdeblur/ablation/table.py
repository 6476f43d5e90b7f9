"""The table: its rows, its columns, and the notes that explain them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from flowdeblur.ablation.notes import budget_notes, cost_notes, damage_notes, data_notes
from flowdeblur.ablation.results import AblationRow
from flowdeblur.ablation.statistics import (
    bootstrap_interval,
    rank_correlation,
    rank_correlation_interval,
)
from flowdeblur.errors import UserError

NONE, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"

# Test scores that other columns and the notes use, or that describe the data, as *_blurry do.
_NO_COLUMN = {"psnr", "ssim", "psnr_same_frame", "loss", "motion_px"}
_NO_COLUMN |= {"epe", "epe_of_zero", "epe_of_dis"}
_NO_COLUMN |= {f"rnn_weight_{name}" for name in ("magnitude", "extreme", "lowest")}


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        key: its name on the command line.
        heading: its heading, with the unit.
        cells: a text for each row.
        best: places of the rows to print in bold.
    """

    key: str
    heading: str
    cells: Sequence[str]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Agreement:
    """The rank correlation of measured with published PSNR, over the rows that have both."""

    rows: Sequence[AblationRow]
    correlation: float
    interval: tuple[float, float] | None

    @property
    def sentence(self) -> str:
        """The correlation and its interval, in words."""
        between = ""
        if self.interval is not None:
            between = f" [{self.interval[0]:.2f}, {self.interval[1]:.2f}]"
        text = (
            f"Spearman's rank correlation with the published PSNR is {self.correlation:.2f}"
            f"{between} over {len(self.rows)} rows (1: same order, 0: none, -1: reverse)"
        )
        end = "; 95 % bootstrap interval over test frames." if between else "."
        return text.replace("-", MINUS) + end


@dataclass
class AblationTable:
    """Rows side by side, compared with one of them.

    Args:
        title: title of the table.
        rows: rows, in their order.
        reference_name: name of the row that the others are compared with; None takes ``ours``, or
            else the first row that has results.
        columns_wanted: keys of the columns to show; None shows all that have content.

    Raises:
        UserError: there is no row, no such reference or no such column.
    """

    title: str
    rows: Sequence[AblationRow]
    reference_name: str | None = None
    columns_wanted: Sequence[str] | None = None
    differences: dict[str, tuple[float, float, float]] = field(init=False)
    """Mean difference of PSNR to the reference and its interval, by name of the row."""

    def __post_init__(self) -> None:
        if not self.rows:
            raise UserError(
                f"{self.title}: no runs found; start them with `flowdeblur ablate run SWEEP`, or "
                "set --runs to their folder"
            )
        named = {row.name: row for row in self.rows}
        if self.reference_name is not None and self.reference_name not in named:
            raise UserError(f"--reference {self.reference_name}: no such row; {', '.join(named)}")
        done = next((row for row in self.rows if row.results), self.rows[0])
        self.reference = named.get(self.reference_name or "ours", done)
        self.differences = {
            row.name: difference
            for row in self.rows
            if row is not self.reference and (difference := _difference(row, self.reference))
        }
        if self.columns_wanted is not None:
            known = [column.key for column in self._all_columns()]
            for key in self.columns_wanted:
                if key not in known:
                    raise UserError(f"--columns {key}: no such column; {', '.join(known)}")

    def columns(self, default: Sequence[str] | None = None) -> list[Column]:
        """The label and the chosen columns.

        Args:
            default: keys of the columns where none were chosen; None takes all. Columns that are
                empty in every row are left out unless they were chosen.
        """
        columns = {column.key: column for column in self._all_columns()}
        label = Column("label", "", [row.label for row in self.rows])
        if self.columns_wanted is not None:
            return [label, *(columns[key] for key in self.columns_wanted)]
        filled = [each for each in columns.values() if any(cell != NONE for cell in each.cells)]
        return [label, *(each for each in filled if default is None or each.key in default)]

    def notes(self) -> list[str]:
        """What is needed to read the numbers, a sentence or two each."""
        parts = [*data_notes(self.rows), *budget_notes(self.rows)]
        if any(self.differences.values()):
            parts.append(
                "Differences are of PSNR, with the 95 % interval of a bootstrap over test frames, "
                "paired; it does not include the variation between seeds."
            )
        if any(row.scores("psnr_same_frame") for row in self.rows):
            parts.append(
                "Same frame twice: PSNR when the current frame replaces its neighbours; the loss "
                "in brackets is the contribution of the neighbours."
            )
        if agreement := self.agreement():
            parts.append(agreement.sentence)
        return [*parts, *cost_notes(self.rows), *damage_notes(self.rows)]

    def agreement(self) -> Agreement | None:
        """How well the measured order of the rows agrees with the published one."""
        rows = [row for row in self.rows if "psnr" in row.paper and row.scores("psnr")]
        published = [row.paper["psnr"] for row in rows]
        correlation = rank_correlation(published, [row.mean("psnr") or 0 for row in rows])
        if correlation is None:
            return None
        keys = [key for key in rows[0].keys if all(key in row.keys for row in rows[1:])]
        frames = [row.per_frame("psnr", keys) for row in rows]
        known = [each for each in frames if each is not None]
        interval = None
        if len(known) == len(rows):
            interval = rank_correlation_interval(published, np.stack(known))
        return Agreement(rows, correlation, interval)

    def _all_columns(self) -> list[Column]:
        rows = self.rows
        return [
            _best("paper_psnr", "PSNR, paper (dB)", [row.paper.get("psnr") for row in rows], 2),
            _best("paper_ssim", "SSIM, paper", [row.paper.get("ssim") for row in rows], 3),
            self._scores("psnr", "PSNR (dB)", 2),
            self._scores("ssim", "SSIM", 4),
            self._column("gain", "gain over the blurry input (dB)", _gained),
            self._column("paper_difference", "PSNR less the paper's (dB)", _beside_paper),
            *(self._scores(name, name, 4) for name in _other_metrics(rows)),
            self._column("difference", f"difference to {self.reference.label} (dB)", self._compare),
            self._column("same_frame", "same frame twice (dB)", _same_frame),
            self._numbers("paper_parameters", "parameters, paper", 0),
            self._numbers("parameters", "parameters", 0),
            self._numbers("gflop", "GFLOP", 2),
            self._numbers("milliseconds", "ms a frame", 1),
            self._numbers("steps", "steps", 0),
            self._numbers("minutes", "training (min)", 1),
        ]

    def _column(self, key: str, heading: str, cell: Callable[[AblationRow], str]) -> Column:
        return Column(key, heading, [cell(row) for row in self.rows])

    def _numbers(self, key: str, heading: str, digits: int) -> Column:
        return self._column(key, heading, lambda row: _text(row.fact(key), digits))

    def _scores(self, name: str, heading: str, digits: int) -> Column:
        lower = any(name in each.lower_is_better for row in self.rows for each in row.results)
        values = [row.mean(name) for row in self.rows]
        column = _best(
            name, f"{heading} (lower is better)" if lower else heading, values, digits, lower
        )
        cells = []
        for row, cell in zip(self.rows, column.cells, strict=True):
            deviation = row.deviation(name)
            spread = f" ± {deviation:.{digits}f}" if deviation is not None else ""
            damaged = f" ({len(row.damage)} damaged)" if row.damage and name == "psnr" else ""
            cells.append((row.missing if name == "psnr" else None) or cell + spread + damaged)
        return Column(name, column.heading, cells, column.best)

    def _compare(self, row: AblationRow) -> str:
        if row.name not in self.differences:
            return NONE
        mean, low, high = (_signed(each) for each in self.differences[row.name])
        return f"{mean} [{low}, {high}]"


def to_csv(table: AblationTable) -> str:
    """Write the numbers of the table, unrounded; what is unknown is empty."""
    headings, rows = numbers(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue()


def numbers(table: AblationTable) -> tuple[list[str], list[list[str | float | None]]]:
    """The headings and the rows of numbers, unrounded; None stands for what is unknown."""
    names = dict.fromkeys(("psnr", "ssim", "psnr_blurry", "ssim_blurry", "psnr_same_frame", "epe"))
    names |= dict.fromkeys(_other_metrics(table.rows))
    headings = [
        *("row", "label", "seeds", "paper_psnr", "paper_ssim"),
        *(f"{name}{end}" for name in names for end in ("", "_std")),
        *("psnr_gain", "psnr_difference", "psnr_difference_low", "psnr_difference_high"),
        *("parameters", "gflop", "milliseconds", "steps", "training_seconds"),
    ]
    return headings, [
        [
            *(row.name, row.label, len(row.results)),
            *(row.paper.get("psnr"), row.paper.get("ssim")),
            *(each for name in names for each in (row.mean(name), row.deviation(name))),
            *(_gain(row), *table.differences.get(row.name, (None, None, None))),
            *map(row.fact, ("parameters", "gflop", "milliseconds", "steps", "seconds")),
        ]
        for row in table.rows
    ]


def _other_metrics(rows: Sequence[AblationRow]) -> list[str]:
    """Names of the test scores that have a column of their own: those of ``metrics=``."""
    found = dict.fromkeys(name for row in rows for each in row.results for name in each.test)
    return [name for name in found if name not in _NO_COLUMN and not name.endswith("_blurry")]


def _difference(row: AblationRow, base: AblationRow) -> tuple[float, float, float] | None:
    """Mean and interval of the frames' PSNR less the reference's; None if frames differ."""
    if set(row.keys) != set(base.keys):
        return None
    first, second = row.per_frame("psnr", row.keys), base.per_frame("psnr", row.keys)
    if first is None or second is None or len(first) < 2:
        return None
    differences = first - second
    return float(differences.mean()), *bootstrap_interval(differences)


def _best(
    key: str, heading: str, values: Sequence[float | None], digits: int, lower: bool = False
) -> Column:
    """Numbers of which the highest or lowest is best; as printed, so that equals are equal."""
    cells = [_text(value, digits) for value in values]
    known = [value for value in values if value is not None]
    top = _text((min if lower else max)(known), digits) if len(known) > 1 else None
    return Column(key, heading, cells, frozenset(n for n, cell in enumerate(cells) if cell == top))


def _same_frame(row: AblationRow) -> str:
    twice, usual = row.mean("psnr_same_frame"), row.mean("psnr")
    if twice is None or usual is None:
        return NONE
    return f"{twice:.2f} ({_signed(twice - usual)})"


def _gain(row: AblationRow) -> float | None:
    return _less(row.mean("psnr"), row.mean("psnr_blurry"))


def _gained(row: AblationRow) -> str:
    return _signed(_gain(row))


def _beside_paper(row: AblationRow) -> str:
    return _signed(_less(row.mean("psnr"), row.paper.get("psnr")))


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _text(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def _signed(value: float | None) -> str:
    if value is None:
        return NONE
    text = f"{value:+.2f}"
    return "0.00" if text in ("-0.00", "+0.00") else text.replace("-", MINUS)
