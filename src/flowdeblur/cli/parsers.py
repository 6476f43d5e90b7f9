"""The argument parsers of the commands, for completion and for the documentation."""

from __future__ import annotations

import argparse
import importlib
from typing import Any
from unittest import mock

from flowdeblur.cli import COMMANDS, MODULES
from flowdeblur.cli.data import COMMANDS as DATA_COMMANDS

HYDRA_COMMANDS = ("train", "evaluate", "lesion")
"""Commands whose command line is Hydra's: they have no parser."""


class _Built(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser that a command builds, without running the command.

    Args:
        command: name of a command, such as ``deblur``, or of two words, such as ``data verify``.
    """
    first, _, second = command.partition(" ")
    path = f"data_commands.{second}" if second else MODULES.get(first, first)
    module = importlib.import_module(f"flowdeblur.cli.{path}")

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise _Built(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_known_args", stop):
        try:
            module.main(["--help"])
        except _Built as built:
            return built.parser
    raise LookupError(f"{command}: builds no parser")


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of all commands that have one, by the words of the command."""
    plain = [name for name in COMMANDS if name not in (*HYDRA_COMMANDS, "data")]
    names = [*plain, *(f"data {name}" for name in DATA_COMMANDS)]
    return {name: parser_of(name) for name in names}
