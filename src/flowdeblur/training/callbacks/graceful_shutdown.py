"""Graceful shutdown on signals."""

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
"""Preemption and cancellation; SLURM's warning before the time limit (``sbatch``, submitit)."""


class InterruptedRunError(RuntimeFailureError):
    """A signal stopped the run; the same command resumes it.

    Args:
        message: states what was saved.
        received: the signal.
    """

    def __init__(self, message: str, received: signal.Signals | None = None) -> None:
        super().__init__(message)
        self.received = received
        if received is not None:
            self.status = 128 + received  # as shells report a process ended by a signal


class GracefulShutdown(L.Callback):
    """Finish the current step, write a checkpoint and stop.

    All processes stop after the same step, whichever of them received the signal. Lightning's own
    handlers save at once, in the middle of a step, and each process may be in a different step.

    Args:
        folder: folder of the checkpoint, ``step_<n>-interrupted.ckpt``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._received: signal.Signals | None = None
        self._training = False

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Handle the signals from the start of a run to its end."""
        earlier = {number: signal.getsignal(number) for number in SIGNALS}
        self._install()
        try:
            yield
        finally:
            for number, handler in earlier.items():
                _handle(number, handler)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._install()  # Lightning has just installed its own handlers
        self._training = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook: a signal may arrive after the last step that checks for one."""
        self._training = False
        self._stop_if_asked(trainer, pl_module.device)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._install()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        self._install()

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
        # A run resumed from here would skip a validation that is due now.
        every = trainer.val_check_batch
        if every is not None and (trainer.fit_loop.total_batch_idx + 1) % every == 0:
            return
        self._stop_if_asked(trainer, pl_module.device)

    def _stop_if_asked(self, trainer: L.Trainer, device: torch.device) -> None:
        received = self._any_received(device)
        if received is not None:
            path = self.folder / f"step_{trainer.global_step:08d}-interrupted.ckpt"
            trainer.save_checkpoint(path)
            raise InterruptedRunError(
                f"stopped by {received.name} after step {trainer.global_step}, with a checkpoint; "
                "the same command resumes the run",
                received,
            )

    def _any_received(self, device: torch.device) -> signal.Signals | None:
        """Signal that any process has received, the same in all processes."""
        own = 0 if self._received is None else SIGNALS.index(self._received) + 1
        largest = processes.largest(own, device)
        return SIGNALS[largest - 1] if largest else None

    def _install(self) -> None:
        for number in SIGNALS:
            _handle(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        if not self._training:
            raise InterruptedRunError(
                f"stopped by {self._received.name} outside of training; "
                "the same command resumes the run",
                self._received,
            )
        log.info("%s received: stopping after this step", self._received.name)


def _handle(number: signal.Signals, handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():  # other threads must not set handlers
        signal.signal(number, handler)
