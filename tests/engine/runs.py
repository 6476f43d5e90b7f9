"""Tiny runs for the tests of whole runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]

SMALL = [
    "debug=fast",
    "model.width=4",
    "data.train.count=6",
    "data.val.count=2",
    "data.test.count=2",
    "data.train.size=[80,96]",
    "trainer.accelerator=cpu",
]
# Whole batches of four, and shares of processes that differ in validation.
TINY = [
    *SMALL,
    "data.val.count=5",
    "data.test.count=5",
    "data.batch_size=4",
    "trainer.limit_val_batches=1.0",
    "trainer.limit_test_batches=1.0",
]


class Record(L.Callback):
    """Write the parameters of every process to ``folder`` when training ends."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.save(pl_module.state_dict(), self.folder / f"rank-{trainer.global_rank}.pt")


class Signal(L.Callback):
    """Send this process a signal in a step, in the validation after one, or in the test."""

    def __init__(
        self, number: int, step: int = -1, validation: int = -1, test: bool = False
    ) -> None:
        self.number, self.step, self.validation, self.test = number, step, validation, test

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)

    def on_validation_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.validation:
            os.kill(os.getpid(), self.number)

    def on_test_batch_start(self, *_: Any) -> None:
        if self.test:
            os.kill(os.getpid(), self.number)


def metrics_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def largest_difference(first: Path, second: Path) -> float:
    one, two = load_file(first / "weights.safetensors"), load_file(second / "weights.safetensors")
    return max((one[key] - two[key]).abs().max().item() for key in one)


def weights_equal(first: Path, second: Path) -> bool:
    one, two = load_file(first / "weights.safetensors"), load_file(second / "weights.safetensors")
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def start(command: list[str], cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
    """Start a command of several processes, one thread each, with this repository importable."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | environment,
    )


def finish(process: subprocess.Popen[str], timeout_s: float = 240) -> tuple[int, str]:
    """Wait for a command: its exit status and what it printed."""
    try:
        printed, _ = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    return process.returncode, printed
