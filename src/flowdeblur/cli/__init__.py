"""The command ``flowdeblur``: each subcommand is a module with ``main(argv) -> exit status``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import flowdeblur
from flowdeblur.cli.edge import guarded
from flowdeblur.errors import UserError

COMMANDS = {
    "train": "train a network, from the configuration in conf",
    "evaluate": "score weights, or restored frames, under named protocols",
    "lesion": "measure what each part of a network contributes",
    "deblur": "restore a video, a folder of frames or an image",
    "demo": "a local page to drop clips on",
    "ablate": "run a sweep, such as Table IV, and tabulate it",
    "data": "verify, synthesise and pack data sets",
    "import": "convert published weights: the paper's Caffe model, NAFNet, ESTRNN, DeblurGAN",
    "export": "write a network as ONNX model or torch.export program",
    "benchmark": "measure the operator or the networks on this machine",
    "schema": "print a JSON schema of the configuration, for editors",
    "completion": "print a script that completes this command line in a shell",
}

MODULES = {"import": "import_weights", "import-caffe": "import_weights"}
"""Modules that are not named like their command; import-caffe is an older name."""

_HELP = """usage: flowdeblur COMMAND ...

Deep dynamic scene deblurring from optical flow.

commands:
{commands}

flowdeblur COMMAND --help describes a command; --debug prints the traceback of an error.
For example:
  flowdeblur train model=bidirectional
  flowdeblur deblur blurry.mp4 sharp.mp4 --weights runs/ID/weights.safetensors"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit status; see :mod:`flowdeblur.cli.edge`."""
    return guarded(_run, sys.argv[1:] if argv is None else argv)


def _run(argv: Sequence[str]) -> int:
    command, *arguments = argv or ["--help"]
    if command in {"-h", "--help"}:
        rows = (f"  {name:14}{text}" for name, text in COMMANDS.items())
        print(_HELP.format(commands="\n".join(rows)))
        return 0
    if command == "--version":
        print(flowdeblur.__version__)
        return 0
    if command not in COMMANDS and command not in MODULES:
        raise UserError(f"no command {command!r}; choose one of {', '.join(COMMANDS)}")
    module = importlib.import_module(f"flowdeblur.cli.{MODULES.get(command, command)}")
    status: int = module.main(arguments)
    return status
