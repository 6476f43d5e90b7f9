"""YAML files of plain values: no aliases, so that a small file cannot expand to a huge one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_MAX_BYTES, _MAX_DEPTH = 1_000_000, 50


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose root is a mapping.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not YAML, has aliases, or is too large or nested too deeply.
    """
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"larger than {_MAX_BYTES:,} bytes")
    try:
        text = path.read_text()
        _check_structure(text)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError("not a mapping at its root")
    return content


def _check_structure(text: str) -> None:
    depth = 0
    for event in yaml.parse(text):  # lazily, so that it ends at the first fault
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("has aliases (*name); write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
