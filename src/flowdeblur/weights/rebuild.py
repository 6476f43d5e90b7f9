"""Rebuild a network from the configuration in a weights file.

A file does not choose what code runs: only this project's networks are built, and classes of
packages that the caller names.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

import flowdeblur
from flowdeblur.errors import UserError
from flowdeblur.networks.contract import require_network
from flowdeblur.types import Network

_FARTHEST = 64
"""Frames that a network may look ahead or back; ``deblur`` holds them all in memory."""

_OWN = ("flowdeblur.networks", "flowdeblur.networks.peers")


def build(config: Any, path: Path, allow: Collection[str] = ()) -> Network:
    """Build the network that a model's configuration describes.

    Args:
        config: plain values, as in the metadata of a weights file.
        path: the file they come from, for messages.
        allow: packages or modules whose classes and functions may be called, besides this
            project's networks.

    Raises:
        UserError: the configuration names anything else, or does not fit this version's networks.
    """
    if not isinstance(config, dict):
        raise UserError(f"{path}: its configuration is {config!r:.40}, not that of a network")
    try:
        built = _build(config, path, tuple(allow))
    except RecursionError:
        raise UserError(f"{path}: its configuration is nested too deeply") from None
    try:
        network = require_network(built)
    except UserError as error:
        raise UserError(f"{path}: its configuration makes no network: {error}") from None
    if not all(type(each) is int and abs(each) <= _FARTHEST for each in network.frame_offsets):
        raise UserError(
            f"{path}: frame_offsets={network.frame_offsets!r:.60}: expected whole numbers from "
            f"-{_FARTHEST} to {_FARTHEST}"
        )
    return network


@contextmanager
def without_memory(most_parameters: int, path: Path) -> Iterator[None]:
    """Build modules within the block without allocating their parameters.

    Args:
        most_parameters: how many may be made. A configuration of a few bytes may ask for any
            number of layers.
        path: the file that describes them, for messages.

    Raises:
        UserError: there are more parameters.
    """
    count = 0

    def count_one(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal count
        count += 1
        if count > most_parameters:
            raise UserError(f"{path}: its configuration describes more layers than the file has")

    hook = register_module_parameter_registration_hook(count_one)
    try:
        with torch.device("meta"):
            yield
    finally:
        hook.remove()


def _build(node: Any, path: Path, allow: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_build(each, path, allow) for each in node]
    if not isinstance(node, dict):
        return node
    arguments = {
        key: _build(value, path, allow) for key, value in node.items() if not key.startswith("_")
    }
    target = str(node.get("_target_"))
    factory = _own(target) or _foreign(target, path, allow)
    try:
        if node.get("_partial_"):
            return functools.partial(factory, **arguments)
        return factory(**arguments)
    except UserError:
        raise
    except Exception as error:  # the arguments come from the file and may be anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{path}: its configuration does not fit flowdeblur {flowdeblur.__version__} ({reason})"
        ) from None


def _own(target: str) -> Any:
    package, _, name = target.rpartition(".")
    if package not in _OWN:
        return None
    module = importlib.import_module(package)
    return getattr(module, name) if name in module.__all__ else None


def _foreign(target: str, path: Path, allow: tuple[str, ...]) -> Any:
    module, _, name = target.rpartition(".")
    if not _within(module, allow):
        top = target.partition(".")[0]
        raise UserError(
            f"{path}: its configuration names {target}, which is no network of this project; "
            f"if you trust {top}, allow it: --allow {top}, or load(path, allow=[{top!r}])"
        )
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"{path}: cannot import {target}: {error}; is {module} installed?"
        ) from None
    # What an allowed module has imported from elsewhere is not allowed with it.
    if not _within(getattr(factory, "__module__", ""), allow):
        raise UserError(f"{path}: {target} is defined outside of {', '.join(allow)}")
    return factory


def _within(module: str, allow: tuple[str, ...]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in allow)
