from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import entry_points

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
    )  # a second on an idle machine; importing torch alone would take longer on a busy one


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (UserError("x.png: is truncated"), 2, "error: x.png: is truncated"),
        (RuntimeFailureError("the disk is full"), 1, "error: the disk is full"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            UserError(
                "Caught UserError in worker.\nTraceback\nflowdeblur.errors.UserError: x.png: bad"
            ),
            2,
            "error: x.png: bad",
        ),
    ],
)
def test_expected_errors_are_one_line(error, status, printed, capsys, monkeypatch):
    def fail(argv):
        raise error

    monkeypatch.setattr("flowdeblur.cli.deblur.main", fail)
    assert main(["deblur"]) == status
    assert capsys.readouterr().err.strip() == printed


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(argv):
        raise ZeroDivisionError

    monkeypatch.setattr("flowdeblur.cli.deblur.main", fail)
    with pytest.raises(ZeroDivisionError):
        main(["deblur"])
