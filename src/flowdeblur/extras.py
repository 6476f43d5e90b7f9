"""Libraries that only some users want, each behind an extra of pyproject.toml."""

from __future__ import annotations

import importlib
from typing import Any

from flowdeblur.errors import UserError


def import_extra(library: str, extra: str) -> Any:
    """Import a library that comes with an extra.

    Raises:
        UserError: it is not installed; the message holds the command that installs it.
    """
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed: pip install 'flowdeblur[{extra}]'"
        ) from None
