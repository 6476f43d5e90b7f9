"""Ways to compute the spatially variant RNN, to compare with."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flowdeblur.ops import spatially_variant_rnn
from flowdeblur.ops._reference import DIRECTIONS

Operator = Callable[[Tensor, Tensor], Tensor]
Line = Callable[[Tensor, Tensor, int, bool], Tensor]


@dataclass(frozen=True)
class Provider:
    """One way to compute the operator.

    Attributes:
        name: for tables.
        operator: function of features (B, C, H, W) and weights (B, 4C, H, W).
        differentiable: whether its gradients are timed, too.
    """

    name: str
    operator: Operator
    differentiable: bool = True


def providers(device: torch.device) -> dict[str, Provider]:
    """Return what runs on the device, by the name of a command-line option."""
    available = {
        "flowdeblur": Provider("flowdeblur", spatially_variant_rnn),
        "step_loop": Provider("step loop", four_directions(step_loop)),
    }
    if device.type == "cuda":
        compiled = torch.compile(four_directions(associative_scan), dynamic=False)
        available["associative_scan"] = Provider("associative_scan, compiled", compiled, False)
        if importlib.util.find_spec("accelerated_scan"):
            operator = four_directions(_accelerated_scan)
            available["accelerated_scan"] = Provider("accelerated-scan", operator)
    return available


def four_directions(line: Line) -> Operator:
    """Apply the recurrence of a line in all directions."""

    def operator(features: Tensor, weights: Tensor) -> Tensor:
        maps = zip(weights.chunk(4, dim=1), DIRECTIONS, strict=True)
        return torch.cat([line(features, w, dim, from_end) for w, (dim, from_end) in maps], dim=1)

    return operator


def step_loop(f: Tensor, w: Tensor, dim: int, from_end: bool) -> Tensor:
    """Compute states one step after the other."""
    steps = list(zip(f.unbind(dim), w.unbind(dim), strict=True))
    h = torch.zeros_like(steps[0][0])
    states = []
    for f_t, w_t in reversed(steps) if from_end else steps:
        h = torch.lerp(f_t, h, w_t)
        states.append(h)
    return torch.stack(states[::-1] if from_end else states, dim)


def associative_scan(
    f: Tensor, w: Tensor, dim: int, from_end: bool, mode: str = "pointwise"
) -> Tensor:
    """Compute states by PyTorch's associative scan."""
    from torch._higher_order_ops.associative_scan import associative_scan

    pairs = (w, (1 - w) * f)
    states: Tensor
    _, states = associative_scan(_compose, pairs, dim, reverse=from_end, combine_mode=mode)
    return states


def _compose(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return left[0] * right[0], left[1] * right[0] + right[1]


def _accelerated_scan(f: Tensor, w: Tensor, dim: int, from_end: bool) -> Tensor:
    from accelerated_scan.scalar import scan  # type: ignore[import-not-found]

    gates, inputs = (x.movedim(dim, 3) for x in (w, (1 - w) * f))
    if from_end:
        gates, inputs = gates.flip(3), inputs.flip(3)
    lines = scan(*(x.flatten(0, 1).contiguous() for x in (gates, inputs)))
    states: Tensor = lines.view(gates.shape)
    return (states.flip(3) if from_end else states).movedim(3, dim)
