"""Griffe extension: roles in docstrings become Markdown, and each object is shown once."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:func|class|mod|meth|data|attr|exc):`~?([^`]+)`")
_EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)  # a section of griffe is called Examples
_LITERAL = re.compile(r"``([^`]+)``")


class Docstrings(griffe.Extension):
    """Change what mkdocstrings reads."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Turn roles and literals of a docstring into code."""
        if obj.docstring:
            text = _ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = _EXAMPLE.sub("Examples:", _LITERAL.sub(r"`\1`", text))

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Leave out what a package only imports from a public module that is on the same page."""
        _without_repetitions(pkg)


def _without_repetitions(module: griffe.Module) -> None:
    for name, member in list(module.members.items()):
        if isinstance(member, griffe.Alias):
            inner = member.target_path.removeprefix(f"{module.path}.")
            if inner != member.target_path and not inner.startswith("_") and "." in inner:
                del module.members[name]
        elif isinstance(member, griffe.Module):
            _without_repetitions(member)
