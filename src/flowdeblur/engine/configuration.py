"""From a composed configuration to objects; errors are one line that names the key."""

from __future__ import annotations

import difflib
import inspect
import logging
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Literal

from hydra.errors import InstantiationException
from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowdeblur.engine import resolvers  # noqa: F401 - the configuration refers to them
from flowdeblur.errors import UserError
from flowdeblur.legacy import RENAMED

# What it logs as an error it also raises, and the caller reports it in one line.
logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)

ROOT = {
    "seed": int,
    "run_dir": str,
    "max_minutes": float | None,
    "budget_minutes": float | None,
    "row": dict | None,
}
"""Values of ``conf/train.yaml`` beside its groups."""

_CHANGE_THE_ROOT = ("experiment", "ablation", "debug", "local")
"""Groups whose options set keys of other groups; they are no keys of the configuration."""

_HYDRA_KEYS = {"_target_", "_partial_", "_args_", "_convert_", "_recursive_"}


def config_dir() -> Path:
    """The folder ``conf``: inside the installed package, or at the root of a clone."""
    package = Path(__file__).parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if folder.is_dir():
            return folder
    raise UserError(f"the folder conf is missing from {package}; install flowdeblur again")


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolve a configuration to dicts, lists and plain values.

    Raises:
        UserError: an interpolation leads nowhere, or a mandatory value is missing.
    """
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "the configuration"
        raise UserError(
            f"{key}: {str(error).splitlines()[0]}; set it on the command line"
        ) from None
    return typing.cast("dict[str, Any]", resolved)


def check_root(settings: Mapping[str, Any]) -> None:
    """Check the keys at the root: the groups of ``conf`` and a few scalars.

    Raises:
        UserError: a key is unknown, or the seed is no number.
    """
    groups = {each.name for each in config_dir().iterdir() if each.is_dir()}
    known = groups | set(ROOT)
    for key in settings:
        if key in _CHANGE_THE_ROOT:
            raise UserError(
                f"{key}: its file changes nothing without '# @package _global_' as its first line"
            )
        if key not in known:
            raise UserError(f"{key}: no such key{nearest(key, known)}")
    if not _fits(settings["seed"], int) or not 0 <= settings["seed"] < 2**32:
        raise UserError(f"seed: expected int from 0 to 2**32 - 1, got {settings['seed']!r}")
    for key in ("max_minutes", "budget_minutes"):
        if not _fits(settings[key], ROOT[key]):
            raise UserError(f"{key}: expected a number, got {settings[key]!r}")


def check_values(settings: Mapping[str, Any], described: type) -> None:
    """Compare the values at the root with the fields of a dataclass.

    Raises:
        UserError: a key is unknown, or a value has the wrong type.
    """
    hints = typing.get_type_hints(described)
    for key, value in settings.items():
        if key not in hints:
            raise UserError(f"{key}: no such key{nearest(key, hints)}")
        if not _fits(value, hints[key]):
            raise UserError(f"{key}: expected {_name(hints[key])}, got {value!r}")


def instantiate(node: Any, key: str, **arguments: Any) -> Any:
    """Build the object that ``node`` describes.

    Names and types of its arguments are compared with the signatures first, because Hydra merges a
    misspelled key of an experiment file silently.

    Args:
        node: plain values, as :func:`plain` returns them.
        key: key of the node in the configuration.
        **arguments: further arguments of the outermost target.

    Raises:
        UserError: a key is unknown, a value has the wrong type, or the target refuses it.
    """
    check(node, key, given=arguments)
    try:
        return hydra_instantiate(node, _convert_="all", **arguments)
    except InstantiationException as error:
        from lightning.fabric.utilities.exceptions import MisconfigurationException

        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(
            cause, ValueError | TypeError | OSError | ImportError | MisconfigurationException
        ):
            raise UserError(f"{_full_key(error, key)}: {str(cause).splitlines()[0]}") from cause
        raise


def check(node: Any, key: str, given: Iterable[str] = ()) -> None:
    """Compare every ``_target_`` below ``node`` with its signature.

    Raises:
        UserError: names the first key that does not fit.
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            _check_call(node, key, set(given))
        for name, child in node.items():
            check(child, f"{key}.{name}")
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for position, child in enumerate(node):
            check(child, f"{key}.{position}")


def _check_call(node: Mapping[str, Any], key: str, given: set[str]) -> None:
    path = node["_target_"]
    try:
        target = get_object(path)
    except Exception as error:
        raise UserError(
            f"{key}._target_: cannot import {path}: {str(error).splitlines()[-1]} "
            "A module of your own must be installed, or its folder in PYTHONPATH"
        ) from None
    parameters = inspect.signature(target).parameters
    named = {
        name
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }
    open_ended = any(each.kind == each.VAR_KEYWORD for each in parameters.values())
    hints = argument_hints(target)
    for name, value in node.items():
        if name in _HYDRA_KEYS:
            continue
        if name not in named and not open_ended:
            raise UserError(
                f"{key}.{name}: {path.rpartition('.')[2]} takes no such argument"
                f"{nearest(name, named)}"
            )
        # A default may contradict its hint, such as None for an int.
        by_default = name in parameters and parameters[name].default is value
        if name in hints and not by_default and not _fits(value, hints[name]):
            raise UserError(f"{key}.{name}: expected {_name(hints[name])}, got {value!r}")
    required = {name for name in named if parameters[name].default is inspect.Parameter.empty}
    missing = sorted(required - set(node) - given)
    if missing and not node.get("_partial_") and "_args_" not in node:
        raise UserError(f"{key}: {path} needs {', '.join(missing)}; set {key}.{missing[0]}")


def nearest(name: str, names: Iterable[str]) -> str:
    """List the valid names that are nearest to a wrong one, as the end of a sentence."""
    names = sorted(names)
    if RENAMED.get(name) in names:
        return f"; it is called {RENAMED[name]} now"
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; valid names: {', '.join(names)}" if names else ""


def argument_hints(target: Any) -> dict[str, Any]:
    """Types of the arguments of a class or function; empty where they cannot be resolved."""
    # A dataclass's own hints resolve names in the modules of the classes it inherits fields from.
    own = is_dataclass(target) or not inspect.isclass(target)
    try:
        return typing.get_type_hints(target if own else target.__init__)
    except (NameError, TypeError):
        # Other packages may annotate with names that exist only for type checkers.
        return {}


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value can be an argument with this annotation.

    A mapping may describe any object.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(value, Mapping) or annotation is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if isinstance(value, list | tuple):
        if origin is tuple and Ellipsis not in arguments:
            return len(value) == len(arguments) and all(map(_fits, value, arguments))
        if origin in (list, tuple, Sequence, Iterable):
            return all(_fits(each, arguments[0]) for each in value)
        return not _is_scalar(annotation)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is Path:
        return isinstance(value, str)
    if annotation is None or annotation is type(None):
        return value is None
    # A scalar is no tensor and no function; other annotations are not checked.
    return isinstance(value, annotation) if inspect.isclass(annotation) else origin is None


def _is_scalar(annotation: Any) -> bool:
    return annotation in (bool, int, float, str, Path, None, type(None))


def _name(annotation: Any) -> str:
    return (
        annotation.__name__
        if inspect.isclass(annotation)
        else str(annotation).replace("typing.", "")
    )


def _full_key(error: InstantiationException, key: str) -> str:
    last = str(error).splitlines()[-1]
    inner = last.removeprefix("full_key: ") if last.startswith("full_key: ") else ""
    return f"{key}.{inner}" if inner else key
