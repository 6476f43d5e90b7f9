"""Weights for others: safetensors whose metadata rebuild the network."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

import flowdeblur
from flowdeblur import networks
from flowdeblur.errors import UserError
from flowdeblur.files import write_bytes
from flowdeblur.networks import FlowGuidedDeblurring


def save(
    path: Path, network: FlowGuidedDeblurring, config: Mapping[str, Any], **facts: Any
) -> None:
    """Write a network's weights.

    Args:
        path: a ``.safetensors`` file; written beside and renamed.
        network: whose weights are written.
        config: the model's configuration, as plain values.
        **facts: what else a reader should know: training data, licence, metrics, ...
    """
    metadata = {"flowdeblur": flowdeblur.__version__, "config": json.dumps(config)}
    metadata |= {name: json.dumps(fact) for name, fact in facts.items()}
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    write_bytes(path, serialize(state, metadata))


def load(path: str | Path) -> FlowGuidedDeblurring:
    """Rebuild a network from a weights file; in evaluation mode, on the CPU, float32.

    Args:
        path: a ``.safetensors`` file written by :func:`save`.

    Raises:
        UserError: the file is missing, damaged, or not one of this project.
    """
    path = Path(path)
    tensors, metadata = read(path)
    if "config" not in metadata:
        raise UserError(
            f"{path}: holds no model configuration; use weights that flowdeblur has written"
        )
    network: FlowGuidedDeblurring = build(json.loads(metadata["config"]), path)
    take(network, tensors, path)
    return network.eval()


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata of a safetensors file.

    Raises:
        UserError: the file is missing, damaged, or something else (nothing else is ever unpickled).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file; name a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return tensors, file.metadata() or {}
    except SafetensorError:
        raise UserError(
            f"{path}: truncated, or not a safetensors file; fetch or write it again"
        ) from None


def take(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, prefix: str = "") -> None:
    """Load ``tensors`` into ``module``, all of them or none.

    Args:
        module: receives the weights.
        tensors: by name.
        path: the file they come from, for the message.
        prefix: only tensors whose names begin so are taken, without it.

    Raises:
        UserError: names the first layer that differs.
    """
    wanted = module.state_dict()
    found = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    for name in dict.fromkeys([*wanted, *found]):
        here, there = _shape(wanted.get(name)), _shape(found.get(name))
        if here != there:
            raise UserError(
                f"{path}: weights of another architecture: {prefix}{name} is {there} in the file "
                f"and {here} in the model"
            )
    module.load_state_dict(found)


def build(config: Any, path: Path) -> Any:
    """Make the object that a model's configuration describes, from this project's networks only.

    Raises:
        UserError: the configuration names anything else, or does not fit this version's networks.
    """
    if isinstance(config, list):
        return [build(each, path) for each in config]
    if not isinstance(config, dict):
        return config
    arguments = {
        key: build(value, path) for key, value in config.items() if not key.startswith("_")
    }
    target = str(config.get("_target_"))
    package, _, name = target.rpartition(".")
    if package != networks.__name__ or name not in networks.__all__:
        raise UserError(
            f"{path}: its configuration asks for {target}, which is no network of this project"
        )
    factory = getattr(networks, name)
    try:
        return (
            functools.partial(factory, **arguments)
            if config.get("_partial_")
            else factory(**arguments)
        )
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its configuration does not fit flowdeblur {flowdeblur.__version__} ({error})"
        ) from None


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "scalar"
