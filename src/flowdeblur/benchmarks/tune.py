"""Timing of the operator's candidate tiles on a GPU."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from unittest import mock

import torch
from torch import Tensor
from tqdm import tqdm

from flowdeblur.ops import _tiles, spatially_variant_rnn
from flowdeblur.ops._tiles import Table, Tiles

Clock = Callable[[Callable[[], object]], tuple[float, float]]
Pass = tuple[tuple[int, int, int, int], torch.dtype]

CANDIDATES = [
    Tiles(warps, scan, lanes, steps)
    for warps, scan, lanes, steps in itertools.product((1, 2, 4), (256, 512), (64, 128), (8, 16))
    if lanes >= 32 * warps  # else some warps would repeat the work of others
]
DTYPES = (torch.float32, torch.bfloat16)
LAYOUTS = (torch.contiguous_format, torch.channels_last)
# What each row of the table is for: (B, C, H, W) of features.
SHAPES = {
    "forward": [(20, 24, 128, 128), (10, 24, 128, 128), (20, 48, 64, 64)],
    "forward_few_lines": [(1, 24, 360, 640), (1, 48, 180, 320), (1, 96, 90, 160)],
    "backward": [(20, 24, 128, 128), (20, 48, 64, 64), (1, 24, 360, 640)],
}


def tune(
    clock: Clock,
    measured_on: str,
    *,
    repetitions: int = 20,
    device: str = "cuda",
    save: Callable[[str], None] = lambda text: None,
) -> str:
    """Choose tiles for every kind of launch by the time that they take.

    Args:
        clock: runs a function and returns the seconds that it took, and those of its launch.
        measured_on: device and versions, for the file.
        repetitions: of every candidate and size; their median counts.
        device: of the maps.
        save: called with the file's text after each kind of launch.

    Returns:
        The text of a file for ``FLOWDEBLUR_OPERATOR_TILES``.
    """
    table = Table()
    for kind, shapes in SHAPES.items():
        passes = [
            _make_pass(shape, dtype, device, layout, gradient=kind == "backward")
            for shape in shapes
            for dtype in DTYPES
            for layout in LAYOUTS
        ]
        candidates = [replace(table, **{kind: tiles}) for tiles in CANDIDATES]
        score = partial(_score, passes=passes, clock=clock, repetitions=repetitions)
        table = min(tqdm(candidates, kind, disable=None), key=score)
        save(_tiles.dump(table, measured_on))
    return _tiles.dump(table, measured_on)


def _score(
    table: Table, passes: list[Callable[[], object]], clock: Clock, repetitions: int
) -> float:
    """Return the mean of the logarithms of the medians: every size counts alike."""
    with mock.patch.object(_cuda(), "table", return_value=table):
        logs = []
        for run in passes:
            run()  # compiles
            seconds = [clock(run)[0] for _ in range(repetitions)]
            logs.append(math.log(statistics.median(seconds)))
        return statistics.fmean(logs)


def _make_pass(
    shape: tuple[int, int, int, int],
    dtype: torch.dtype,
    device: str,
    layout: torch.memory_format,
    *,
    gradient: bool,
) -> Callable[[], object]:
    batch, channels, *size = shape

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, device=device, dtype=dtype).contiguous(memory_format=layout)

    f = random(batch, channels, *size).requires_grad_(gradient)
    logits = random(batch, 4 * channels, *size).requires_grad_(gradient)
    if not gradient:
        return partial(spatially_variant_rnn, f, logits, tanh=True)
    states = spatially_variant_rnn(f, logits, tanh=True)
    cotangents = torch.randn_like(states)
    return partial(torch.autograd.grad, states, (f, logits), cotangents, retain_graph=True)


def _cuda() -> object:
    from flowdeblur.ops import _cuda  # imports Triton

    return _cuda
