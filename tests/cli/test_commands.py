from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import flowdeblur
from flowdeblur.cli import COMMANDS, main
from flowdeblur.errors import RuntimeFailureError, UserError


def test_the_command_is_installed():
    (script,) = entry_points(group="console_scripts", name="flowdeblur")
    assert script.load() is main


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(argv, capsys):
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == flowdeblur.__version__


def test_unknown_command(capsys):
    assert main(["debulr"]) == 2
    assert (
        capsys.readouterr().err
        == f"error: no command 'debulr'; choose one of {', '.join(COMMANDS)}\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_fast_and_has_an_example(command):
    code = f"import sys; from flowdeblur.cli import main; sys.exit(main(['{command}', '--help']))"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    assert done.returncode == 0
    assert "example" in done.stdout.lower()
    assert (
        seconds < 5
    )  # a second on an idle machine; just importing torch would take longer on a busy one


def full_disk():
    return OSError(errno.ENOSPC, "No space left on device", "out.mp4")


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's."""


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (UserError("x.png: is truncated"), 2, "error: x.png: is truncated"),
        (RuntimeFailureError("the disk is full"), 1, "error: the disk is full"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            UserError(
                "Caught UserError in worker.\nTraceback\nflowdeblur.errors.UserError: x.png: bad\n"
            ),
            2,
            "error: x.png: bad",
        ),
        (UserError("a\nb\x1b[2J\udcff.png: no"), 2, r"error: a\nb\x1b[2J\udcff.png: no"),
        (full_disk(), 1, "error: out.mp4: No space left on device"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 1, "error: not enough memory; free"),
        (MemoryError(), 1, "error: not enough memory; free some"),
        (OutOfMemoryError("CUDA out of memory"), 1, "error: not enough memory; free some"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (ZeroDivisionError("by 0"), 70, "internal error: ZeroDivisionError: by 0"),
        (AssertionError(), 70, "internal error: AssertionError"),
        (TypeError("two\nlines"), 70, r"internal error: TypeError: two\nlines"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), 70, "internal error: UnicodeDecodeError"),
    ],
)
def test_every_error_is_one_line(error, status, printed, capsys, monkeypatch):
    def fail(argv):
        raise error

    monkeypatch.setattr("flowdeblur.cli.deblur.main", fail)
    assert main(["deblur"]) == status
    shown = capsys.readouterr().err
    assert shown.startswith(printed)
    assert shown.count("\n") == (1 if printed else 0)


def test_a_defect_names_its_place_and_shows_its_traceback_on_demand(capsys, monkeypatch):
    monkeypatch.setattr("flowdeblur.cli.train.run_job", None)
    monkeypatch.delenv("FLOWDEBLUR_DEBUG", raising=False)
    assert main(["train"]) == 70
    assert "Traceback" not in (shown := capsys.readouterr().err)
    assert "(cli/train.py:" in shown
    assert main(["train", "--debug"]) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert main(["--debug", "debulr"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert main(["debulr"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_output_that_nobody_can_take():
    command = [sys.executable, "-m", "flowdeblur", "--help"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
