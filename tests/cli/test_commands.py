from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

import flowdeblur
from flowdeblur.cli import COMMANDS, main
from flowdeblur.engine.configuration import config_dir
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
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "example" in done.stdout.lower()
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1  # 0.05 to 0.25 s; importing torch takes more than 1.5 s


@pytest.mark.parametrize("name", ["train", "evaluate", "lesion"])
def test_help_of_a_configuration_lists_what_it_chooses_from(name, capsys):
    """The page is compared with what Hydra composes."""
    assert main([name, "--help"]) == 0
    printed = capsys.readouterr().out
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose(name, return_hydra_config=True)
        chosen = config.hydra.runtime.choices
        groups = {
            each for each in chosen if not each.startswith(("hydra", "local", "model/", "data/"))
        }
        for group in groups:
            options = {each.stem for each in (config_dir() / group).glob("*.yaml")}
            assert re.search(rf"^  {group}: ", printed, re.MULTILINE), group
            assert options <= set(re.split(r"[,\s]+", printed)), group
    for key in set(config) - {"hydra"} - groups:
        assert re.search(rf"^  {key}: ", printed, re.MULTILINE), key
    assert config.hydra.help.header in printed
    assert config.hydra.help.footer in printed


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
