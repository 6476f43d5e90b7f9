"""``flowdeblur data``: each subcommand is a module of ``data_commands`` with ``main(argv)``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from flowdeblur.errors import UserError

COMMANDS = {
    "verify": "compare a data set on this machine with what its authors published",
    "synthesize": "make blurry and sharp frames from sharp video",
    "release": "prepare the training data of experiment=release",
    "strata": "make validation pairs by blur length",
    "niqe": "fit the parameters of the metric NIQE to sharp images",
    "pack": "write frames without compression, for fast training",
}

_HELP = """usage: flowdeblur data COMMAND ...

Data sets.

commands:
{commands}

flowdeblur data COMMAND --help describes a command. Example:
  flowdeblur data verify dvd /data/DVD"""


def main(argv: Sequence[str]) -> int:
    """Run a subcommand and return its exit status."""
    command, *arguments = argv or ["--help"]
    if command in {"-h", "--help"}:
        rows = (f"  {name:11}{text}" for name, text in COMMANDS.items())
        print(_HELP.format(commands="\n".join(rows)))
        return 0
    if command not in COMMANDS:
        raise UserError(f"no command 'data {command}'; choose one of {', '.join(COMMANDS)}")
    module = importlib.import_module(f"flowdeblur.cli.data_commands.{command}")
    status: int = module.main(arguments)
    return status
