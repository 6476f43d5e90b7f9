"""Imports follow docs/architecture.md and stay light; files are short; words are the glossary's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import codespell_lib
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[1]


def test_imports_keep_the_contracts_of_pyproject(capsys, monkeypatch):
    # It would disable all loggers of the process, and with them the warnings of later tests.
    monkeypatch.setattr("importlinter.cli._configure_logging", lambda verbose: None)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import flowdeblur", {"torch"}),
        (
            "import flowdeblur.cli, flowdeblur.cli.train, flowdeblur.cli.deblur, "
            "flowdeblur.cli.ablate, flowdeblur.cli.evaluate, flowdeblur.cli.lesion",
            {"torch", "av", "PIL"},
        ),
        (
            "import flowdeblur.networks, flowdeblur.weights",
            {"triton", "lightning", "hydra", "wandb", "kornia"},
        ),
    ],
)
def test_what_an_import_does_not_load(statement, absent):
    code = f"{statement}; import sys; print(*({absent!r} & sys.modules.keys()))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.split() == []


def test_help_of_every_command_loads_neither_torch_nor_lightning():
    code = """
import contextlib, io, sys
from flowdeblur.cli import COMMANDS, main
for command in COMMANDS:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([command, "--help"])
    loaded = {"torch", "lightning"} & sys.modules.keys()
    assert not loaded, (command, loaded)
print(len(COMMANDS))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 9


def test_no_file_is_too_long():
    files = [each for top in ("src", "tests", "benchmarks") for each in (ROOT / top).rglob("*.py")]
    long = {str(path): len(path.read_text().splitlines()) for path in files}
    assert {path: lines for path, lines in long.items() if lines > 300} == {}


def test_words_are_those_of_the_glossary(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    texts = [str(each) for each in Path().glob("*.md")]
    status = codespell_lib.main(*texts, "conf", "docs", "src", "sweeps", "benchmarks", "tests")
    assert status == 0, capsys.readouterr().out


# Phrases of the glossary, which codespell cannot see, and what to write instead.
PHRASES = {
    r"(go|goes|going|gone|went) on (with|from|at|elsewhere)": "resume",
    r"(take|takes|taken|took) (it |them )?up": "resume, load",
    r"(is|are|was|were|be|been) passed over": "skip",
    r"there already|already there": "already exists",
    r"(written|write|writes) beside|(appear|appears) whole": "write atomically",
    r"(lay|laid|lying) down": "contiguous, in place",
    r"kept away|looked at": "held-out, validation, test",
    r"the ones? before\b|the other one\b": "previous, next, neighbour",
    r"held by|holds it\b": "enforced by a test",
    r"at hand|to be had": "available",
    r"picture's": "image",
}


def texts_for_readers():
    yield from ROOT.glob("*.md")
    for folder in ("docs", "conf", "src", "sweeps", "examples", "integrations"):
        for suffix in ("md", "py", "yaml", "html"):
            yield from (ROOT / folder).rglob(f"*.{suffix}")


def test_phrases_are_those_of_the_glossary():
    pattern = re.compile("|".join(rf"\b({each})" for each in PHRASES), re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts_for_readers()
        for match in pattern.finditer(re.sub(r"[\s#]+", " ", path.read_text("utf-8")))
    ]
    assert found == [], f"write instead: {PHRASES}"
