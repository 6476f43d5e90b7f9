"""Checkpoints that survive a kill and a full disk."""

from __future__ import annotations

import io
import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.files import write_bytes
from flowdeblur.runs import RunFolder

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside and rename it.

    Lightning's own transaction goes through the system's temporary folder, which may be another
    file system, where a move is a copy that can be cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Save ``checkpoint``.

        Raises:
            RuntimeFailureError: the disk is full or the folder is read-only; earlier checkpoints
                stay good.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(Path(path), buffer.getvalue())
        except OSError as error:
            raise RuntimeFailureError(
                f"{path}: cannot write the checkpoint ({error.strerror}); earlier ones are "
                "unharmed: make room and give the same command again"
            ) from None


def newest_checkpoint(folder: RunFolder) -> Path | None:
    """The checkpoint to go on from; damaged ones are passed over, and said so."""
    for path in folder.checkpoints_newest_first():
        if _is_whole(path):
            return path
        log.warning("%s is damaged: going on from the one before it", path)
    return None


def best_checkpoint(folder: RunFolder) -> Path | None:
    """The checkpoint of the best validation score; None if there is none, or it is damaged."""
    path = folder.checkpoints / "best.ckpt"
    return path if path.exists() and _is_whole(path) else None


def network_state(path: Path) -> tuple[int, dict[str, Tensor]]:
    """Read the step and the network's weights from a checkpoint."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    state = {
        name.removeprefix("network."): tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith("network.")
    }
    return checkpoint["global_step"], state


def verify(path: Path) -> None:
    """See that a checkpoint holds tensors and plain values only.

    Raises:
        UserError: it holds pickled code, or is no checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="meta", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: holds pickled code, which is never run; delete it to start afresh"
        ) from None
    if "state_dict" not in checkpoint:
        raise UserError(f"{path}: is no checkpoint of a training run; delete it to start afresh")


def _is_whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False
