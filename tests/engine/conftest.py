from __future__ import annotations

import contextlib
import io
import shutil
from types import SimpleNamespace

import pytest
from tests.engine.runs import SMALL

from flowdeblur.cli import main


@pytest.fixture
def run(tmp_path, cache):
    """Train a small run in a folder below ``tmp_path``; returns status and folder."""

    def start(*overrides, folder="run"):
        status = main(["train", *SMALL, cache, f"hydra.run.dir={tmp_path / folder}", *overrides])
        return status, tmp_path / folder

    return start


@pytest.fixture(scope="session")
def finished(tmp_path_factory, cache):
    """What ``run("logger=[csv,tensorboard]")`` leaves behind, for tests that only read it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    printed = io.StringIO()
    command = ["train", *SMALL, cache, "logger=[csv,tensorboard]", f"hydra.run.dir={folder}"]
    with contextlib.redirect_stdout(printed):
        assert main(command) == 0
    return SimpleNamespace(folder=folder, printed=printed.getvalue())


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of the finished run, where ``run()`` expects its folder."""
    return shutil.copytree(finished.folder, tmp_path / "run")
