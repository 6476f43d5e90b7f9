"""How the Triton kernels cut maps into programs: the default table, or that of a file.

Nothing is timed here: a launch depends on shapes and types only, so that the same call gives the
same bits on every run. For another GPU, ``flowdeblur benchmark operator --tune FILE`` times the
candidates once; ``FLOWDEBLUR_OPERATOR_TILES=FILE`` selects the result.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

VARIABLE = "FLOWDEBLUR_OPERATOR_TILES"


@dataclass(frozen=True)
class Tiles:
    """How a launch cuts maps into programs; all are powers of two.

    Attributes:
        warps: warps a program.
        scan: elements of the rows that a program scans at a time.
        lanes: columns, or channels of lines, that a program walks in parallel.
        steps: steps whose loads a walk issues together.
    """

    warps: int
    scan: int
    lanes: int
    steps: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or value < 1 or value & (value - 1):
                raise ValueError(f"{name} must be a power of two, not {value!r}")


@dataclass(frozen=True)
class Table:
    """Tiles of every kind of launch.

    No row depends on the architecture or the type: no GPU was available for timings.

    Attributes:
        forward: both layouts, maps with many lines.
        forward_few_lines: maps whose lines are too few to fill the memory bus with 8 steps.
        backward: rows, and all that is walked. Whole planes and strips follow from their size.
    """

    forward: Tiles = Tiles(warps=2, scan=512, lanes=128, steps=8)
    forward_few_lines: Tiles = Tiles(warps=1, scan=256, lanes=64, steps=16)
    backward: Tiles = Tiles(warps=1, scan=256, lanes=64, steps=8)

    def has_few_lines(self, line_bytes: int) -> bool:
        """Whether one step of all lines, in bytes, is too little for the tiles of many lines.

        An H100 needs 2 MB of loads in flight to reach 3 TB/s at a latency of 0.7 us. A forward walk
        has 4 x lines x bytes x steps of them: f and w in both directions.
        """
        return 4 * line_bytes * self.forward.steps < 2 * 2**20

    def for_forward(self, line_bytes: int) -> Tiles:
        """Choose by the bytes of one step of all lines."""
        return self.forward_few_lines if self.has_few_lines(line_bytes) else self.forward


def dump(table: Table, measured_on: str) -> str:
    """Write a table as the text of a file that :func:`load` reads."""
    return json.dumps({"measured_on": measured_on, **asdict(table)}, indent=1) + "\n"


def load(path: str) -> Table:
    """Read a table.

    Raises:
        ValueError: the file is missing or holds something else.
    """
    try:
        content: dict[str, Any] = json.loads(Path(path).expanduser().read_text("utf-8"))
        return Table(**{each.name: Tiles(**content[each.name]) for each in fields(Table)})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{VARIABLE}={path}: {error}; make the file with "
            f"`flowdeblur benchmark operator --tune {path}`, or unset the variable"
        ) from None


@cache
def table() -> Table:
    """Return the table of this process: a tuned one where the variable names its file."""
    path = os.environ.get(VARIABLE)
    return load(path) if path else Table()
