"""The command ``flowdeblur``: each subcommand is a module with ``main(argv) -> exit status``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence

import flowdeblur
from flowdeblur.errors import FlowdeblurError

COMMANDS = {
    "train": "train a network, from the configuration in conf",
    "evaluate": "score weights, or restored frames, under named protocols",
    "deblur": "restore a video, a folder of frames or a picture",
    "demo": "a local page to drop clips on",
    "ablate": "run a sweep, such as Table IV, and tabulate it",
    "data": "verify, synthesise and pack data sets",
    "import": "convert published weights: the paper's Caffe model, NAFNet, ESTRNN, DeblurGAN",
    "export": "write a network as ONNX model or torch.export program",
    "benchmark": "measure the operator or the networks on this machine",
}

_MODULES = {"import": "import_weights", "import-caffe": "import_weights"}
"""Modules that are not named like their command; import-caffe is an older name."""

_HELP = """usage: flowdeblur COMMAND ...

Deep dynamic scene deblurring from optical flow.

commands:
{commands}

flowdeblur COMMAND --help tells more, for example:
  flowdeblur train model=bidirectional
  flowdeblur deblur blurry.mp4 sharp.mp4 --weights runs/<id>/weights.safetensors"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit status: 2 for a user's mistake, 1 for a failure."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments.pop(0) if arguments else "--help"
    if command in {"-h", "--help"}:
        rows = (f"  {name:14}{text}" for name, text in COMMANDS.items())
        print(_HELP.format(commands="\n".join(rows)))
        return 0
    if command == "--version":
        print(flowdeblur.__version__)
        return 0
    if command not in COMMANDS and command not in _MODULES:
        print(
            f"error: no command {command!r}; choose one of {', '.join(COMMANDS)}", file=sys.stderr
        )
        return 2
    module = importlib.import_module(f"flowdeblur.cli.{_MODULES.get(command, command)}")
    return guarded(module.main, arguments)


def guarded(command: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run a command; print its expected errors in one line each, without a traceback."""
    try:
        return command(argv)
    except FlowdeblurError as error:
        print(f"error: {_line(error)}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _line(error: Exception) -> str:
    """The message alone: from a worker process an error comes wrapped in a traceback."""
    name = f"{type(error).__module__}.{type(error).__qualname__}: "
    return str(error).splitlines()[-1].removeprefix(name)
