"""Networks as programs of torch.export."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from flowdeblur.weights.restorer import Restorer

SUFFIX = ".pt2"


def write(restorer: Restorer, path: Path, facts: Mapping[str, str]) -> None:
    """Write a program; the facts become extra files in its archive.

    Args:
        restorer: the network.
        path: the file.
        facts: what the file should say of itself.
    """
    content = io.BytesIO()  # on a full disk, PyTorch's own writer aborts the process
    torch.export.save(restorer.trace(), content, extra_files=dict(facts))
    path.write_bytes(content.getbuffer())


def open_restorer(path: Path) -> Callable[[Tensor], Tensor]:
    """Return what a program computes on the CPU. Only for files that were written here just now."""
    restore: Callable[[Tensor], Tensor] = torch.export.load(path).module()
    return restore
