"""Optimizer, learning-rate scheduler and parameter groups of a run."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from flowdeblur.errors import UserError
from flowdeblur.networks.initialization import fan_in

Groups = list[dict[str, Any]]


class Optimization:
    """Optimizer, scheduler and parameter groups of a run.

    Args:
        optimizer: creates the optimizer from parameter groups; any class of ``torch.optim`` with
            its options.
        scheduler: creates the learning-rate scheduler of the optimizer, which steps after every
            optimizer step; None keeps the rate constant.
        groups: sorts the parameters into groups; None makes one group.
    """

    def __init__(
        self,
        optimizer: Callable[[Groups], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        groups: Callable[[nn.Module], Groups] | None = None,
    ) -> None:
        self._optimizer, self._scheduler, self._groups = optimizer, scheduler, groups

    def configure(self, module: nn.Module) -> tuple[Optimizer, LRScheduler | None]:
        """Create optimizer and scheduler for the trainable parameters of ``module``.

        Raises:
            UserError: a group has an option that the optimizer does not know.
        """
        optimizer = self._optimizer((self._groups or one_group)(module))
        known = {*optimizer.defaults, "params", "lr_factor"}
        for group in optimizer.param_groups:
            if unknown := sorted(group.keys() - known):
                name = type(optimizer).__name__
                raise UserError(f"parameter_groups.rules: {unknown[0]}: no option of {name}")
            group["lr"] *= group.pop("lr_factor", 1.0)
        return optimizer, None if self._scheduler is None else self._scheduler(optimizer)


def one_group(module: nn.Module) -> Groups:
    """One group of all trainable parameters."""
    return [{"params": [each for each in module.parameters() if each.requires_grad]}]


class GroupsByName:
    """Parameter groups by patterns of parameter names.

    Args:
        rules: each has ``names``, a list of patterns in which ``*`` stands for any text, and
            options for the parameters that match: options of the optimizer such as
            ``weight_decay``, ``lr_factor`` (multiplies the optimizer's learning rate), or
            ``frozen: true``. The first rule that matches a parameter counts; others have the
            optimizer's own options.

    Raises:
        UserError: a rule has no names.
    """

    def __init__(self, rules: Sequence[Mapping[str, Any]]) -> None:
        if any("names" not in rule for rule in rules):
            raise UserError("parameter_groups.rules: every rule needs names, a list of patterns")
        self.rules = rules

    def __call__(self, module: nn.Module) -> Groups:
        """Sort the parameters of ``module``; the frozen ones stop requiring gradients."""
        groups: dict[tuple[tuple[str, Any], ...], list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            options = self._options(name)
            if options.pop("frozen", False):
                parameter.requires_grad_(False)
            if parameter.requires_grad:
                groups.setdefault(tuple(sorted(options.items())), []).append(parameter)
        return [{"params": parameters, **dict(options)} for options, parameters in groups.items()]

    def _options(self, name: str) -> dict[str, Any]:
        for rule in self.rules:
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in rule["names"]):
                return {key: value for key, value in rule.items() if key != "names"}
        return {}


class GroupsByFanIn:
    """Learning rates in proportion to 1 / fan-in, for weights that many inputs meet.

    Adam changes every weight by about the learning rate, and what a layer computes by the fan-in
    times that: at 1e-3 a conv of 256 channels and 5x5 taps changes in one step by several times its
    own size. Its weights then grow in a random walk. With 1 / fan-in all layers change alike (Yang
    et al., "Tensor Programs V", 2022).

    Args:
        reference: fan-in up to which the optimizer's own learning rate holds.
        power: 1 as derived there; 0.5 keeps the steps in proportion to initial weights.
    """

    def __init__(self, reference: int = 256, power: float = 1.0) -> None:
        self.reference, self.power = reference, power

    def __call__(self, module: nn.Module) -> Groups:
        """Sort the trainable parameters of ``module`` by their layer's fan-in."""
        groups: dict[float, list[nn.Parameter]] = {}
        for layer in module.modules():
            factor = min(1.0, self.reference / fan_in(layer)) ** self.power
            for parameter in layer.parameters(recurse=False):
                if parameter.requires_grad:
                    groups.setdefault(factor, []).append(parameter)
        return [{"params": each, "lr_factor": factor} for factor, each in groups.items()]


def warmup_cosine(
    optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> LambdaLR:
    """Linear warm-up, then half a cosine down to ``final`` at the end of the run.

    Args:
        optimizer: optimizer whose learning rate is scheduled.
        total_steps: steps of the run.
        warmup_steps: steps of the warm-up.
        final: last factor of the learning rate.
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        progress = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
        return final + (1 - final) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2

    # A function is not saved with the scheduler's state, so that a run may resume with another
    # budget.
    return LambdaLR(optimizer, factor)


class OneCycle(OneCycleLR):
    """One-cycle schedule of torch, with the learning rate of each group as its peak.

    A run that resumes with another budget follows the cycle of the new budget.

    Args:
        optimizer: its learning rates are the peaks.
        total_steps: steps of the run.
        options: see ``torch.optim.lr_scheduler.OneCycleLR``.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, **options: Any) -> None:
        peaks = [group["lr"] for group in optimizer.param_groups]
        super().__init__(optimizer, peaks, total_steps, **options)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the position in the cycle, but not its length."""
        length = {"total_steps", "_schedule_phases"}
        super().load_state_dict({k: v for k, v in state_dict.items() if k not in length})


def polynomial(optimizer: Optimizer, last_step: int, power: float = 1.0) -> LambdaLR:
    """Caffe's ``poly``: (1 - step / last_step)^power, independent of the budget of the run.

    Args:
        optimizer: optimizer whose learning rate is scheduled.
        last_step: step at which the rate reaches 0.
        power: exponent; 2 in the released code.
    """
    return LambdaLR(optimizer, lambda step: float((1 - min(step / last_step, 1.0)) ** power))
