from __future__ import annotations

import logging
import signal
from unittest import mock

import pytest
import torch
from hydra._internal.hydra import Hydra

torch.set_num_threads(1)  # small layers are slower on two; `make test` runs two processes


# Files that take longest: whole runs, interpreted kernels, exports.
LONG = {
    *("test_training.py", "test_interruption.py", "test_resuming.py", "test_distributed.py"),
    *("test_kernels.py", "test_networks.py", "test_registration.py", "test_compiled_kernels.py"),
    *("test_ablate.py", "test_sweep.py", "test_configs.py", "test_export.py", "test_release.py"),
    *("test_evaluate.py", "test_evaluate_mistakes.py", "test_commands.py"),
}


def pytest_collection_modifyitems(items):
    """Begin with the long files, so that no process waits for another one at the end."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(autouse=True)
def one_thread():
    """Undo what a test does to the number of threads: results depend on it in the last bits."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def default_signal_handlers():
    """Background processes of a shell ignore Ctrl-C, and nohup SIGHUP; tests send both."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def composed_once():
    """Hydra composes a command's configuration twice, first for hydra.mode, which no file sets."""
    with mock.patch.object(Hydra, "get_mode", return_value=None):
        yield


@pytest.fixture(autouse=True)
def log_handlers():
    """Remove the handlers that a command adds: they write to the output captured for one test."""
    before = list(logging.root.handlers)
    yield
    for each in set(logging.root.handlers) - set(before):
        logging.root.removeHandler(each)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """An override: rendered scenes are kept for the other tests."""
    return f"data.train.cache={tmp_path_factory.mktemp('scenes')}"
