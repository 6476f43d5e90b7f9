"""Weights files: safetensors whose metadata describe the network."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

import flowdeblur
from flowdeblur.errors import UserError
from flowdeblur.files import write_bytes
from flowdeblur.types import Network
from flowdeblur.weights.rebuild import build, without_memory

PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""The weights that come with the package, NAME.safetensors."""

_FLOATING = {torch.float16, torch.bfloat16, torch.float32, torch.float64}

DEFAULT = "default"
"""Name of the weights that are used by default."""


def save(
    path: Path,
    network: Network,
    config: Mapping[str, Any],
    *,
    training: Any = None,
    licence: str | None = None,
    metrics: Any = None,
) -> None:
    """Write the weights of a network with the metadata that rebuild it.

    Args:
        path: a ``.safetensors`` file; written atomically.
        network: the network.
        config: the model's configuration, as plain values.
        training: the data and the budget of the training, as plain values; None if unknown.
        licence: of the weights, an SPDX identifier or a sentence; None if not stated.
        metrics: scores and the data that they were measured on, as plain values.

    Raises:
        OSError: the disk is full, the folder is read-only, ...; an earlier file stays.
    """
    facts = {
        "config": config,
        "training": training,
        "licence": licence,
        "metrics": metrics,
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    _write(path, state, {"flowdeblur": flowdeblur.__version__}, facts)


def load(name_or_path: str | Path = DEFAULT, *, allow: Collection[str] = ()) -> Network:
    """Rebuild a network from its weights; in evaluation mode, on the CPU, float32.

    Args:
        name_or_path: weights that come with the package, by name; or a ``.safetensors`` file
            written by :func:`save`, or the folder of a run.
        allow: packages besides flowdeblur whose classes the file may name, such as
            ``["my_package"]``. They are imported, so name only packages that you trust.

    Raises:
        UserError: the name is unknown, or the file is missing, damaged, or names other packages.

    Example:
        >>> load("small").frame_offsets
        (0, 1)
    """
    path = locate(name_or_path)
    tensors, metadata = read(path)
    config = _facts(metadata, path)["config"]
    if not allow:  # classes of other packages may not be able to do without memory
        with without_memory(4 * len(tensors) + 1000, path):
            blueprint = build(config, path)
        _demand_same(blueprint.state_dict(), tensors, path)
    network = build(config, path, allow)
    load_into(network, tensors, path)
    return network.eval()


def locate(name_or_path: str | Path) -> Path:
    """Find a weights file.

    Args:
        name_or_path: see :func:`load`. What has a suffix or a folder in it is a path, as is
            everything that exists.

    Raises:
        UserError: no weights of this name come with the package.

    Example:
        >>> locate("small").name, locate("runs/mine.safetensors").name
        ('small.safetensors', 'mine.safetensors')
    """
    path = Path(name_or_path)
    if path.is_dir():
        return path / "weights.safetensors"
    if path.suffix or path.is_absolute() or len(path.parts) > 1 or path.exists():
        return path
    shipped = sorted(each.stem for each in PRETRAINED.glob("*.safetensors"))
    if path.name not in shipped:
        known = f"these do: {', '.join(shipped)}" if shipped else "none do in this version"
        raise UserError(
            f"{path}: no weights of this name come with flowdeblur ({known}); "
            "name a .safetensors file"
        )
    return PRETRAINED / f"{path.name}.safetensors"


def describe(path: Path) -> dict[str, Any]:
    """Return the metadata of a weights file.

    Returns:
        ``flowdeblur`` (the version that wrote it), ``config``, ``training``, ``licence``,
        ``metrics`` and ``versions``; None where nothing is known.

    Raises:
        UserError: the file is missing, damaged, or not one of this project.

    Example:
        >>> describe(locate("small"))["config"]["_target_"]
        'flowdeblur.networks.FlowGuidedDeblurring'
    """
    return _facts(read(path)[1], path)


def annotate(path: Path, **facts: Any) -> None:
    """Change metadata of a weights file: ``licence=``, ``training=``, ``metrics=``.

    Raises:
        UserError: the file is missing, damaged, or not one of this project.
        TypeError: a fact has another name.
    """
    copy(path, path, **facts)


def copy(source: Path, path: Path, *, half: bool = False, **facts: Any) -> None:
    """Write a weights file again.

    Args:
        source: a weights file.
        path: the file to write; written atomically.
        half: in float16, at half the size. Networks compute in float32 all the same.
        facts: ``licence``, ``training``, ``metrics``, where they change.

    Raises:
        UserError: the file is missing, damaged, or not one of this project; or has weights beyond
            the range of float16.
        TypeError: a fact has another name.
    """
    unknown = sorted(facts.keys() - {"licence", "training", "metrics"})
    if unknown:
        raise TypeError(f"no such fact of a weights file: {', '.join(unknown)}")
    tensors, metadata = read(source)
    _facts(metadata, source)
    if half:
        tensors = {name: tensor.half() for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise UserError(f"{source}: {name} has values beyond float16; leave --half out")
    _write(path, tensors, metadata, facts)


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


def load_into(
    module: Network | nn.Module, tensors: Mapping[str, Tensor], path: Path, prefix: str = ""
) -> None:
    """Load ``tensors`` into ``module``, all of them or none.

    Args:
        module: receives the weights.
        tensors: tensors by name.
        path: the file they come from, for the message.
        prefix: only tensors whose names start with it are loaded, under the rest of their names.

    Raises:
        UserError: names the first layer that differs.
    """
    wanted = module.state_dict()
    found = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    _demand_same(wanted, found, path, prefix)
    module.load_state_dict(found)


def _demand_same(
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path, prefix: str = ""
) -> None:
    """Check that names and shapes are the same, and that types can be converted without loss."""
    for name in dict.fromkeys([*wanted, *found]):
        here, there = wanted.get(name), found.get(name)
        if here is None or there is None or here.shape != there.shape:
            raise UserError(
                f"{path}: weights of another architecture: {prefix}{name} is {_shape(there)} in "
                f"the file and {_shape(here)} in the model"
            )
        if there.dtype != here.dtype and not {there.dtype, here.dtype} <= _FLOATING:
            raise UserError(
                f"{path}: {prefix}{name} is {_name(there.dtype)} in the file, "
                f"but {_name(here.dtype)} in the model; write the file again"
            )


def _write(
    path: Path, state: dict[str, Tensor], metadata: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    texts = {name: json.dumps(fact) for name, fact in facts.items()}
    write_bytes(path, serialize(state, {**metadata, **texts}))


def _facts(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    if "config" not in metadata:
        raise UserError(
            f"{path}: contains no model configuration; use weights written by flowdeblur"
        )
    known: dict[str, Any] = {"flowdeblur": metadata.get("flowdeblur")}
    try:
        for name in ("config", "training", "licence", "metrics", "versions"):
            known[name] = json.loads(metadata.get(name, "null"))
    except (ValueError, RecursionError):
        raise UserError(f"{path}: corrupt metadata ({name}); download or write it again") from None
    if not isinstance(known["licence"], str | None):
        raise UserError(f"{path}: corrupt metadata (licence); download or write it again")
    return known


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "scalar"
