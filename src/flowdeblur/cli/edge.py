"""The edge of the command line: every error becomes one line and an exit status."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from flowdeblur.errors import FlowdeblurError

DEBUG = "--debug"
"""Option of every command: print the traceback of an error, too."""

INTERNAL = 70
"""Exit status of an error that nobody expected: EX_SOFTWARE of sysexits.h."""

_DEBUG_VARIABLE = "FLOWDEBLUR_DEBUG"  # reaches processes that a command starts
_PACKAGE = Path(__file__).parents[1]


class Verdict(NamedTuple):
    """Exit status and message of an error.

    Attributes:
        status: exit status.
        line: printed to the standard error; empty for nothing.
    """

    status: int
    line: str


def guarded(command: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run a command and return its exit status; print errors as one line each.

    Args:
        command: takes the arguments without ``--debug``.
        argv: the arguments.
    """
    arguments = [each for each in argv if each != DEBUG]
    _accept_every_name()
    with _debugging(len(arguments) < len(argv)) as debug:
        try:
            status = command(arguments)
            sys.stdout.flush()
            return status
        except (Exception, KeyboardInterrupt) as error:
            if debug:
                traceback.print_exc()
            status, line = classify(error)
            if isinstance(error, BrokenPipeError):
                _discard_output()
            if line:
                print(line, file=sys.stderr)
            return status


def classify(error: BaseException) -> Verdict:
    """Turn an error into an exit status and one line.

    Status 2 is a mistake in the input, 1 a failure of the machine or its resources, 130 Ctrl-C and
    141 a reader that closed the pipe. Everything else is a defect of this program: status 70.
    """
    if isinstance(error, FlowdeblurError):
        return Verdict(error.status, f"error: {_message(error)}")
    if isinstance(error, KeyboardInterrupt):
        return Verdict(130, "interrupted")
    if isinstance(error, BrokenPipeError):
        return Verdict(141, "")
    if _is_out_of_memory(error):
        return Verdict(1, "error: not enough memory; free some, or process smaller frames")
    if isinstance(error, OSError) and error.errno is not None:
        place = (
            f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        )
        return Verdict(1, one_line(f"error: {place}{error.strerror}"))
    reason = f"{type(error).__name__}: {error}".removesuffix(": ")
    return Verdict(
        INTERNAL,
        one_line(
            f"internal error: {reason[:300]}{_origin(error)}; please report; "
            f"run with {DEBUG} for the traceback"
        ),
    )


def one_line(text: str) -> str:
    """Escape line breaks and other characters that a terminal would interpret."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _message(error: Exception) -> str:
    """The error's own message; from a worker process it arrives wrapped in a traceback."""
    text, name = str(error), f"{type(error).__module__}.{type(error).__qualname__}: "
    if text.startswith("Caught ") and name in text:
        text = text.rpartition(name)[2].rstrip()
    return one_line(text)


def _is_out_of_memory(error: BaseException) -> bool:
    # PyTorch's types are recognized by name, because this module must not import torch.
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
    )


def _origin(error: BaseException) -> str:
    """The innermost line of this package in the error's traceback."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_PACKAGE) and path != Path(__file__):
            return f" ({path.relative_to(_PACKAGE)}:{frame.lineno})"
    return ""


def _accept_every_name() -> None:
    """Let file names that are not valid text pass through the standard streams."""
    for stream, errors in (
        (sys.stdin, "surrogateescape"),
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


@contextmanager
def _debugging(wanted: bool) -> Iterator[bool]:
    before = os.environ.get(_DEBUG_VARIABLE)
    if wanted:
        os.environ[_DEBUG_VARIABLE] = "1"
    try:
        yield bool(os.environ.get(_DEBUG_VARIABLE))
    finally:
        if wanted and before is None:
            del os.environ[_DEBUG_VARIABLE]


def _discard_output() -> None:
    """Keep Python from reporting at its exit that nobody reads the standard output."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # no real file, as in tests
        return
