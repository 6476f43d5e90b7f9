"""Optimiser, parameter groups and learning-rate schedule of a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

Groups = list[dict[str, Any]]
Schedule = Callable[[int, int], float]
"""Maps the numbers of finished and of all steps of a run to a factor of the learning rate."""


class Optimization:
    """Everything that turns gradients into steps.

    Args:
        optimizer: makes the optimiser from parameter groups.
        schedule: factor of the learning rate by step; None keeps it constant.
        groups: sorts the named parameters into groups; None makes one group.
        flow_first: so many steps at the beginning train the flow subnet alone, which is several
            times as fast; without a flow to learn they train the whole as well.
    """

    def __init__(
        self,
        *,
        optimizer: Callable[[Groups], Optimizer],
        schedule: Schedule | None = None,
        groups: Callable[[nn.Module], Groups] | None = None,
        flow_first: int = 0,
    ) -> None:
        self._optimizer, self._schedule, self._groups = optimizer, schedule, groups
        self.flow_first = flow_first

    def configure(self, module: nn.Module, total_steps: int) -> tuple[Optimizer, LambdaLR]:
        """Make optimiser and scheduler for the parameters of ``module`` that are to be trained.

        Args:
            module: holds the parameters.
            total_steps: budget of the run.
        """
        optimizer = self._optimizer((self._groups or one_group)(module))
        schedule = self._schedule or constant
        # A function is not saved with the scheduler's state, so that a run may go on with another
        # budget.
        return optimizer, LambdaLR(optimizer, lambda step: schedule(step, total_steps))


def constant(step: int, total_steps: int) -> float:
    """Keep the learning rate."""
    return 1.0


def one_group(module: nn.Module) -> Groups:
    """Treat all parameters alike."""
    return [{"params": [each for each in module.parameters() if each.requires_grad]}]


class ReleasedGroups:
    """The released code's treatment of layers, which the paper does not mention.

    No weight decay on deconvolutions, on the convs after them in the deblurring subnet
    (``d_deconv*_1``) and on the flow subnet's biases; twice the learning rate for the biases of
    rnnw, d_conv* and d_conv0; the biases of deconvolutions and of ``d_deconv*_1`` frozen at 0.

    Args:
        lr: learning rate, which the doubled one is taken from.
        weight_decay: of the parameters that have any.
    """

    def __init__(self, lr: float, weight_decay: float) -> None:
        self.lr, self.weight_decay = lr, weight_decay

    def __call__(self, module: nn.Module) -> Groups:
        """Sort the parameters of ``module``; the frozen ones stop requiring gradients."""
        settings: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            *_, layer, kind = name.split(".")
            undecayed = layer.startswith(("deconv", "up", "d_deconv"))
            if undecayed and kind == "bias":
                parameter.requires_grad_(False)
                continue
            doubled = kind == "bias" and (layer == "rnnw" or layer.startswith("d_conv"))
            if kind == "bias" and not doubled:
                undecayed = True  # what is left are the flow subnet's biases
            key = (self.lr * (2 if doubled else 1), 0.0 if undecayed else self.weight_decay)
            settings.setdefault(key, []).append(parameter)
        return [
            {"params": parameters, "lr": lr, "weight_decay": decay}
            for (lr, decay), parameters in settings.items()
        ]


class WarmupCosine:
    """Rise linearly, then fall to ``final`` along half a cosine until the run ends.

    Args:
        warmup_steps: when it has risen.
        final: last factor.
    """

    def __init__(self, warmup_steps: int = 0, final: float = 0.0) -> None:
        self.warmup_steps, self.final = warmup_steps, final

    def __call__(self, step: int, total_steps: int) -> float:
        """Factor after ``step`` of ``total_steps`` steps."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        progress = (step - self.warmup_steps) / max(total_steps - self.warmup_steps, 1)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


class Polynomial:
    """Caffe's ``poly``: (1 - step / last_step)^power, whatever the budget of the run.

    Args:
        last_step: when it reaches 0.
        power: 2 in the released code.
    """

    def __init__(self, last_step: int, power: float) -> None:
        self.last_step, self.power = last_step, power

    def __call__(self, step: int, total_steps: int) -> float:
        """Factor after ``step`` steps."""
        return float((1 - min(step / self.last_step, 1.0)) ** self.power)
