"""Pages of the API reference: one for each public package, filled by mkdocstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "flowdeblur"

_FIRST = {
    "flowdeblur.deblur": "flowdeblur.video.deblur.deblur",
    "flowdeblur.restore": "flowdeblur.video.deblur.restore",
    "flowdeblur.load": "flowdeblur.weights.file.load",
}
_HIDDEN = {"cli", "demo", "benchmarks", "legacy", "neighbours", "pages", "extras"}


def modules() -> list[str]:
    """Names of the public packages and modules below ``flowdeblur``, as imports list them."""
    packages = {each.parent.name for each in SOURCE.glob("*/__init__.py")}
    single = {each.stem for each in SOURCE.glob("*.py") if not each.stem.startswith("_")}
    return sorted((packages | single) - _HIDDEN)


def pages() -> Iterator[tuple[str, str]]:
    """Paths and texts of the pages."""
    names = modules()
    rows = "\n".join(f"| [`{each}`](api/{each}.md) | {_summary(each)} |" for each in names)
    yield (
        "reference/api.md",
        "# Python API\n\n"
        "`flowdeblur.deblur`, `flowdeblur.restore` and `flowdeblur.load` are all that most programs "
        "need; the packages below are for everything else. Types come from the annotations, texts "
        "from the docstrings, and every object shows its source.\n\n"
        + "".join(
            f"::: {path}\n    options: {{heading: {name}}}\n\n" for name, path in _FIRST.items()
        )
        + f"## Packages\n\n| package | contents |\n|---|---|\n{rows}\n",
    )
    for name in names:
        yield (
            f"reference/api/{name}.md",
            (
                f"# `flowdeblur.{name}`\n\n::: flowdeblur.{name}\n"
                "    options: {show_root_heading: false, show_root_toc_entry: false}\n"
            ),
        )


def _summary(name: str) -> str:
    path = SOURCE / name / "__init__.py" if (SOURCE / name).is_dir() else SOURCE / f"{name}.py"
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ")
