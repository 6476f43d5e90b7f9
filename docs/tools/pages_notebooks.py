"""Pages of the notebooks of ``examples``: their text and code, without outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def pages() -> Iterator[tuple[str, str]]:
    """Paths and texts of the pages."""
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        yield f"tutorials/{path.stem}.md", "\n\n".join(map(_cell, cells)) + "\n"


def _cell(cell: dict[str, object]) -> str:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)  # type: ignore[arg-type]
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
