"""Health of the layers: are their weights, gradients and steps still alive?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from flowdeblur.types import Restoration

log = logging.getLogger(__name__)

MIN_SCALE = 0.1
"""A layer is dead when its weights have shrunk below this share of their initial scale."""
MAX_EXTREME = 0.5
"""An RNN level is saturated when more than this share of its weights has abs(w) > 0.9."""
MESSAGES = {
    "dead": "weights have shrunk below a tenth of their initial scale",
    "without_gradient": "gradients were exactly 0 in two samples in a row: nothing is learned here",
    "saturated": "more than half of the RNN weights have abs(w) > 0.9",
}


class LayerHealth(L.Callback):
    """Log scale, gradient, step and activation of every layer; warn of those in bad health.

    A layer is a module of the network with a trained ``weight`` of two or more dimensions. Every
    ``every`` steps, and for the scale also after the last step, each layer has:

    - ``scale``: root mean square (RMS) of its weights, relative to that at the start of training;
    - ``gradient``: RMS of its gradient before clipping;
    - ``gradient_to_decay``: that RMS relative to the part that L2 weight decay adds to the
      gradient; only with an optimizer that adds one;
    - ``update``: RMS of the optimizer's step, relative to that of the weights;
    - ``negative``: share of its outputs that are zero or negative.

    Every validation adds the share of RNN weights with abs(w) > 0.9 of each level. The scales at
    the start travel in the checkpoint, so that a resumed run keeps them.

    Args:
        every: optimizer steps from one sample to the next.
    """

    def __init__(self, every: int = 100) -> None:
        self.every = every
        self.layers: dict[str, dict[str, float]] = {}
        """The latest values by layer."""
        self.without_gradient: list[str] = []
        """Layers whose gradient was exactly 0 in the last two samples."""
        self.extreme: list[float] = []
        """Share of abs(w) > 0.9 of each RNN level at the last validation, coarse to fine."""
        self._initial: dict[str, float] = {}
        self._warned: set[str] = set()
        self._modules: dict[str, nn.Module] = {}
        self._hooks: list[RemovableHandle] = []
        self._negative: dict[str, Tensor] = {}
        self._weights: dict[str, Tensor] = {}
        self._extreme: list[Tensor] = []

    def summary(self) -> dict[str, Any]:
        """Latest values by layer; layers that are dead or do not learn; saturated RNN levels."""
        return {
            "dead": self._dead(),
            "without_gradient": self.without_gradient,
            "saturated": self._saturated(),
            "rnn_weights_extreme": self.extreme,
            "layers": self.layers,
        }

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        network = pl_module.get_submodule("network")
        self._modules = {name: each for name, each in network.named_modules() if _is_layer(each)}
        self._initial = self._scales() | self._initial

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any, **__: Any) -> None:
        """Lightning's hook: watch the activations of a step that is sampled."""
        if self._is_due(trainer) and not self._hooks:
            self._hooks = [
                module.register_forward_hook(self._watch(name))
                for name, module in self._modules.items()
            ]

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer
    ) -> None:
        """Lightning's hook: sample the gradients, and keep the weights until after the step."""
        if not self._is_due(trainer):
            return
        self._weights = {name: _weight(each).detach().clone() for name, each in self._items()}
        gradients = {
            name: _rms(weight.grad)
            for name, each in self._items()
            if (weight := _weight(each)).grad is not None
        }
        before = {name: self.layers.get(name, {}).get("gradient") for name in gradients}
        self._record("gradient", gradients)
        self.without_gradient = [
            name for name in gradients if before[name] == self.layers[name]["gradient"] == 0
        ]
        decays = l2_decays(optimizer)
        self._record(
            "gradient_to_decay",
            {
                name: gradient / (decay * _rms(self._weights[name])).clamp(min=1e-30)
                for name, gradient in gradients.items()
                if (decay := decays.get(_weight(self._modules[name]), 0.0))
            },
        )

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any, **__: Any) -> None:
        """Lightning's hook: compare the weights with those before the step; log and warn."""
        if not self._weights:
            return
        changes = {
            name: _rms(_weight(self._modules[name]) - before) / _rms(before).clamp(min=1e-30)
            for name, before in self._weights.items()
        }
        self._record("update", changes)
        self._record("negative", self._negative)
        self._record_scales()
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._negative, self._weights = [], {}, {}
        values = {
            f"health/{key}/{name}": value
            for name, layer in self.layers.items()
            for key, value in layer.items()
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)
        self._warn(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        if trainer.is_global_zero:
            self._record_scales()
            self._warn(trainer)

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        """Lightning's hook."""
        if isinstance(outputs, Restoration) and outputs.rnn_weights:
            self._extreme.append(
                torch.stack([(each.abs() > 0.9).float().mean() for each in outputs.rnn_weights])
            )

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook."""
        if self._extreme:
            self.extreme = torch.stack(self._extreme).mean(0).tolist()
            self._extreme = []
            self._warn(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Lightning's hook."""
        return {
            "initial": self._initial,
            "warned": sorted(self._warned),
            "layers": self.layers,
            "without_gradient": self.without_gradient,
            "extreme": self.extreme,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning's hook."""
        self._initial, self._warned = state_dict["initial"], set(state_dict["warned"])
        self.layers, self.extreme = state_dict["layers"], state_dict["extreme"]
        self.without_gradient = state_dict.get("without_gradient", [])

    def _is_due(self, trainer: L.Trainer) -> bool:
        return trainer.is_global_zero and trainer.global_step % self.every == 0

    def _items(self) -> Iterable[tuple[str, nn.Module]]:
        return self._modules.items()

    def _watch(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self._negative[name] = (output.detach() <= 0).float().mean()

        return hook

    def _scales(self) -> dict[str, float]:
        return _floats({name: _rms(_weight(each)) for name, each in self._items()})

    def _record(self, key: str, values: dict[str, Tensor]) -> None:
        for name, value in _floats(values).items():
            self.layers.setdefault(name, {})[key] = value

    def _record_scales(self) -> None:
        for name, scale in self._scales().items():
            if self._initial[name] == 0:  # a layer that starts at zero is measured from its growth
                self._initial[name] = scale
            initial = self._initial[name]
            self.layers.setdefault(name, {})["scale"] = scale / initial if initial else 1.0

    def _dead(self) -> list[str]:
        return [name for name, layer in self.layers.items() if layer.get("scale", 1.0) < MIN_SCALE]

    def _saturated(self) -> list[str]:
        return [
            f"RNN level {place} of {len(self.extreme)}"
            for place, share in enumerate(self.extreme, 1)
            if share > MAX_EXTREME
        ]

    def _warn(self, trainer: L.Trainer) -> None:
        """Warn in one line of what is not healthy and has not been reported before."""
        found = {
            "dead": self._dead(),
            "without_gradient": self.without_gradient,
            "saturated": self._saturated(),
        }
        for state, names in found.items():
            new = [name for name in names if name not in self._warned]
            if new and trainer.is_global_zero:
                self._warned.update(new)
                log.warning("step %d: %s: %s", trainer.global_step, MESSAGES[state], ", ".join(new))


def l2_decays(optimizer: Optimizer) -> dict[Tensor, float]:
    """Weight decay of each parameter, where the optimizer adds it to the gradient."""
    return {
        parameter: group.get("weight_decay", 0.0)
        for group in optimizer.param_groups
        if not group.get("decoupled_weight_decay", isinstance(optimizer, torch.optim.AdamW))
        for parameter in group["params"]
    }


def _is_layer(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim > 1 and weight.requires_grad


def _weight(layer: nn.Module) -> Tensor:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return weight


def _rms(x: Tensor) -> Tensor:
    return x.detach().float().square().mean().sqrt()


def _floats(values: dict[str, Tensor]) -> dict[str, float]:
    """Read scalars from their device in one transfer."""
    if not values:
        return {}
    return dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
