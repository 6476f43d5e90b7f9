"""Networks for programs without this package, checked before they get their name."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from flowdeblur import weights
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.files import replacing
from flowdeblur.weights import onnx_model, program
from flowdeblur.weights.restorer import Restorer

FORMATS: dict[str, ModuleType] = {each.SUFFIX: each for each in (onnx_model, program)}
"""By suffix. Each module has ``write(restorer, path, facts)`` and ``open_restorer(path)``."""

CHECKED_SIZES = ((64, 128), (100, 150), (257, 191))
"""Heights and widths that every export is compared at; none is the one that it was traced at."""

TOLERANCE, HALF_TOLERANCE = 1e-4, 2e-2
"""Largest difference from PyTorch in float32, as a share of the largest value."""


class Check(NamedTuple):
    """What the written file did with frames of one size.

    Attributes:
        size: height and width.
        difference: largest difference from PyTorch in float32, as a share of the largest value.
        slowdown: its time over PyTorch's, the better of two runs each.
    """

    size: tuple[int, int]
    difference: float
    slowdown: float


def export(
    source: Path,
    path: Path,
    *,
    half: bool = False,
    licence: str | None = None,
    allow: Collection[str] = (),
    layout: type[Restorer] = Restorer,
    recurrence: str | None = None,
) -> list[Check]:
    """Export weights of this project, for any height and width.

    Args:
        source: a weights file.
        path: the file to write; its suffix is one of ``FORMATS``. Written under a
            temporary name, and renamed after the checks.
        half: with weights and features in float16.
        licence: of the weights; None for what the weights file says.
        allow: packages besides flowdeblur whose classes the weights file may name.
        layout: of the input, see :mod:`flowdeblur.weights.restorer`.
        recurrence: how an ONNX model computes the RNN, see
            :mod:`flowdeblur.weights.onnx_model`; None for its default.

    Returns:
        The checks, one a size.

    Raises:
        UserError: the weights are missing or damaged, an extra is not installed, or
            ``recurrence`` is given for another format.
        RuntimeFailureError: the written file computes something else than the network.
    """
    kind = FORMATS[path.suffix.lower()]
    options = {} if recurrence is None else {"recurrence": recurrence}
    if options and kind is not onnx_model:
        raise UserError(f"--recurrence: is for .onnx files, not {path.name}; leave it out")
    network = weights.load(source, allow=allow)
    described = weights.describe(source)
    facts = {
        "flowdeblur": str(described["flowdeblur"]),
        "frame_offsets": str(list(network.frame_offsets)),
        "licence": licence or str(described["licence"] or "not stated"),
    }
    reference = layout(network)
    exported = layout(weights.load(source, allow=allow).half() if half else network)
    with replacing(path) as partial:
        kind.write(exported, partial, facts, **options)
        restore = kind.open_restorer(partial)
        checks = [_check(restore, reference, size) for size in CHECKED_SIZES]
        worst = max(checks, key=lambda check: check.difference)
        if not worst.difference <= (HALF_TOLERANCE if half else TOLERANCE):
            height, width = worst.size
            raise RuntimeFailureError(
                f"{path}: not written, as it differs from PyTorch by {worst.difference:.1e} of the "
                f"largest value at {height}x{width}" + ("; leave --half out" if half else "")
            )
    return checks


@torch.inference_mode()
def _check(
    restore: Callable[[Tensor], Tensor], reference: Restorer, size: tuple[int, int]
) -> Check:
    generator = torch.Generator().manual_seed(0)
    example = reference.pack(torch.rand(1, reference.frames, 3, *size, generator=generator))
    wanted, seconds = _timed(reference, example)
    got, seconds_exported = _timed(restore, example)
    if got.shape != wanted.shape:
        return Check(size, float("inf"), seconds_exported / seconds)
    difference = (got - wanted).abs().max() / wanted.abs().max()
    return Check(size, difference.item(), seconds_exported / seconds)


def _timed(restore: Callable[[Tensor], Tensor], frames: Tensor) -> tuple[Tensor, float]:
    times = []
    for _ in range(2):
        start = time.perf_counter()
        restored = restore(frames)
        times.append(time.perf_counter() - start)
    return restored, min(times)
