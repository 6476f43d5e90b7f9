"""The commands of docs/cluster.md, made small enough to be run here."""

from __future__ import annotations

import re

from tests.engine.runs import ROOT, TINY

DOCUMENT = (ROOT / "docs" / "cluster.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]


def commands(*words: str, without: str = "\n") -> list[str]:
    """The document's command lines that hold all of ``words`` and not ``without``."""
    return [
        line for line in COMMANDS if all(each in line for each in words) and without not in line
    ]


def small(command: str) -> list[str]:
    """Two processes instead of eight, and tiny data; what the document sets is kept."""
    words = command.replace("devices=8", "devices=2").replace(
        "nproc-per-node=8", "nproc-per-node=2"
    )
    keys = [word.partition("=")[0] for word in words.split()]
    return [*words.split(), *(each for each in TINY if each.partition("=")[0] not in keys)]
