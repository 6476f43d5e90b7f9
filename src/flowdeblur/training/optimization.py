"""Optimizer, parameter groups and learning-rate schedule of a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

Groups = list[dict[str, Any]]
Schedule = Callable[[int, int], float]
"""Maps (finished steps, total steps) of a run to a factor of the learning rate."""


class Optimization:
    """Optimizer and learning-rate schedule of a run.

    Args:
        optimizer: creates the optimizer from parameter groups.
        schedule: factor of the learning rate; None keeps it constant.
        groups: sorts the parameters into groups; None makes one group.
    """

    def __init__(
        self,
        *,
        optimizer: Callable[[Groups], Optimizer],
        schedule: Schedule | None = None,
        groups: Callable[[nn.Module], Groups] | None = None,
    ) -> None:
        self._optimizer, self._schedule, self._groups = optimizer, schedule, groups

    def configure(self, module: nn.Module, total_steps: int) -> tuple[Optimizer, LambdaLR]:
        """Create optimizer and scheduler for the trainable parameters of ``module``.

        Args:
            module: module that contains the parameters.
            total_steps: total steps of the run.
        """
        optimizer = self._optimizer((self._groups or one_group)(module))
        schedule = self._schedule or constant
        # A lambda is not saved with the scheduler's state, so that a run may resume with another
        # budget.
        return optimizer, LambdaLR(optimizer, lambda step: schedule(step, total_steps))


def constant(step: int, total_steps: int) -> float:
    """Constant learning rate."""
    return 1.0


def one_group(module: nn.Module) -> Groups:
    """One group of all trainable parameters."""
    return [{"params": [each for each in module.parameters() if each.requires_grad]}]


class ReleasedGroups:
    """Parameter groups of the released code, which the paper does not mention.

    No weight decay on deconvolutions, on the convs after them in the deblurring subnet
    (``d_deconv*_1``) and on the flow subnet's biases; twice the learning rate for the biases of
    rnnw, d_conv* and d_conv0; the biases of deconvolutions and of ``d_deconv*_1`` frozen at 0.

    Args:
        lr: learning rate; the biases of some layers get twice this rate.
        weight_decay: weight decay of the decayed parameters.
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
                undecayed = True  # the remaining ones are the flow subnet's biases
            key = (self.lr * (2 if doubled else 1), 0.0 if undecayed else self.weight_decay)
            settings.setdefault(key, []).append(parameter)
        return [
            {"params": parameters, "lr": lr, "weight_decay": decay}
            for (lr, decay), parameters in settings.items()
        ]


class WarmupCosine:
    """Linear warm-up, then half a cosine down to ``final`` at the end of the run.

    Args:
        warmup_steps: steps of the warm-up.
        final: factor at the end.
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
    """Caffe's ``poly``: (1 - step / last_step)^power, independent of the budget of the run.

    Args:
        last_step: step at which the factor reaches 0.
        power: 2 in the released code.
    """

    def __init__(self, last_step: int, power: float) -> None:
        self.last_step, self.power = last_step, power

    def __call__(self, step: int, total_steps: int) -> float:
        """Factor after ``step`` steps."""
        return float((1 - min(step / self.last_step, 1.0)) ** self.power)
