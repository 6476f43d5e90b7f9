"""Stop in good order when the system asks for it."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch

from flowdeblur.errors import RuntimeFailureError
from flowdeblur.training import processes

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Preemption and cancelling; the warning before SLURM's time limit, of ``sbatch`` and submitit."""


class Interrupted(RuntimeFailureError):
    """A signal ended the run; the same command goes on with it.

    Args:
        message: says what has been kept.
        received: the signal.
    """

    def __init__(self, message: str, received: signal.Signals | None = None) -> None:
        super().__init__(message)
        self.received = received
        if received is not None:
            self.status = 128 + received  # as shells tell of a process that a signal has ended


class Interruption(L.Callback):
    """Write a checkpoint after the step at hand and stop there.

    All processes stop after the same step, whichever of them received the signal. Lightning's own
    handlers save at once, in the middle of a step, and processes may be in different ones.

    Args:
        folder: where the checkpoint goes, as ``step_<n>-interrupted.ckpt``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._received: signal.Signals | None = None
        self._training = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Heed the signals, from the start of a run to its end."""
        earlier = {number: signal.getsignal(number) for number in SIGNALS}
        self._listen()
        try:
            yield
        finally:
            for number, handler in earlier.items():
                _handle(number, handler)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._listen()  # Lightning has just set a handler of its own
        self._training = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook: a signal may have come after the last step that looks for one."""
        self._training = False
        self._stop_if_asked(trainer, pl_module.device)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._listen()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._listen()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Lightning's hook."""
        unfinished = (batch_idx + 1) % trainer.accumulate_grad_batches
        if unfinished or trainer.global_step >= trainer.max_steps:
            return
        # A validation that is due would be left out of a run that goes on from here.
        every = trainer.val_check_batch
        if every is not None and (trainer.fit_loop.total_batch_idx + 1) % every == 0:
            return
        self._stop_if_asked(trainer, pl_module.device)

    def _stop_if_asked(self, trainer: L.Trainer, device: torch.device) -> None:
        received = self._agree(device)
        if received is not None:
            path = self.folder / f"step_{trainer.global_step:08d}-interrupted.ckpt"
            trainer.save_checkpoint(path)
            raise Interrupted(
                f"stopped by {received.name} after step {trainer.global_step}, with a checkpoint; "
                "the same command goes on",
                received,
            )

    def _agree(self, device: torch.device) -> signal.Signals | None:
        """Find out whether any process has received a signal, and which."""
        own = 0 if self._received is None else SIGNALS.index(self._received) + 1
        largest = processes.largest(own, device)
        return SIGNALS[largest - 1] if largest else None

    def _listen(self) -> None:
        for number in SIGNALS:
            _handle(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        if not self._training:
            raise Interrupted(
                f"stopped by {self._received.name} outside of training; the same command goes on",
                self._received,
            )
        log.info("%s received: stopping after this step", self._received.name)


def _handle(number: signal.Signals, handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():  # others may set no handlers
        signal.signal(number, handler)
