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
    """Write checkpoints atomically.

    Lightning writes them to the system's temporary folder first, which may be on another file
    system, where a move is a copy that can be interrupted.
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
                "unharmed: free disk space and run the same command again"
            ) from None


def newest_checkpoint(folder: RunFolder) -> Path | None:
    """Newest checkpoint to resume from; corrupt ones are skipped with a warning."""
    for path in folder.checkpoints_newest_first():
        if _is_whole(path):
            return path
        log.warning("%s is corrupt: resuming from the previous one", path)
    return None


def best_checkpoint(folder: RunFolder) -> Path | None:
    """Checkpoint of the best validation score; None if there is none, or it is corrupt."""
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
    """Check that a checkpoint contains only tensors and plain values.

    Raises:
        UserError: it holds pickled code, or is no checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="meta", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: contains pickled code, which is never run; delete it to start again"
        ) from None
    if "state_dict" not in checkpoint:
        raise UserError(f"{path}: is no checkpoint of a training run; delete it to start again")


def _is_whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False
