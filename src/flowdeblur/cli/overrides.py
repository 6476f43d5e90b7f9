"""Command lines of Hydra: order of options, and errors in one line with the nearest names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.utils import get_object
from omegaconf import DictConfig

from flowdeblur.engine.configuration import config_dir, nearest
from flowdeblur.errors import UserError


def compose_configuration(name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose a configuration of ``conf`` outside of a Hydra job.

    Raises:
        UserError: an override is wrong.
    """
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return compose(name, list(overrides))
    except (HydraException, ValueError) as error:
        raise UserError(explain(error, overrides, name)) from None
    finally:
        GlobalHydra.instance().clear()


def explain(error: Exception, argv: Sequence[str], name: str) -> str:
    """Describe in one line what is wrong with a command line.

    Args:
        error: the error that Hydra raised.
        argv: the command line.
        name: name of the configuration that it overrides.
    """
    first = str(error).splitlines()[0]
    if "submitit_slurm" in str(error):
        return "hydra/launcher=slurm: needs submitit; pip install 'flowdeblur[slurm]'"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        if group:
            # Hydra lists no options of a group that takes a list.
            options = error.options or [each.stem for each in (config_dir() / group).glob("*.yaml")]
            return f"{group}={option}: no such option{nearest(option, options)}"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: not a valid override; "
            "write key=value, with quotes around special characters"
        )
    if first.startswith("Config group override must be"):  # Hydra does not say which
        for override in argv:
            group, _, value = override.lstrip("+").partition("=")
            if (config_dir() / group).is_dir() and isinstance(yaml.safe_load(value), int | float):
                return f"{override}: no such option; choose one of {group} by its name"
    unknown = re.search(r"Could not override '([^']+)'", str(error)) or re.search(
        r"Key '([^']+)' is not in struct", str(error)
    )
    if unknown:
        key = unknown[1]
        return f"{key}: no such key{_nearest_keys(key, argv, name)}"
    return first


def _nearest_keys(key: str, argv: Sequence[str], name: str) -> str:
    overrides = [
        each for each in argv if "=" in each and not each.lstrip("+~").startswith((key, "-"))
    ]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose(name, [*overrides, *own_config_dir(argv)])
    except HydraException:  # another override is wrong as well, and is reported next
        return ""
    parent, _, leaf = key.rpartition(".")
    node = config
    for part in parent.split(".") if parent else []:
        child = node.get(part) if isinstance(node, DictConfig) else None
        if not isinstance(child, DictConfig):
            return ""
        node = child
    groups = (
        {each.name for each in config_dir().iterdir() if each.is_dir()} if not parent else set()
    )
    if leaf in _arguments(str(node.get("_target_", ""))):
        return f"; it is an argument that the configuration does not set: write +{key}=VALUE"
    return nearest(leaf, {str(each) for each in node} | groups)


def _arguments(target: str) -> set[str]:
    """Names of the arguments of a class or function, by its import path."""
    if not target:
        return set()
    try:
        return set(inspect.signature(get_object(target)).parameters)
    except Exception:  # not importable: reported when it is built
        return set()


def options_first(argv: Sequence[str]) -> list[str]:
    """Move ``--config-dir DIR`` before the overrides, where Hydra's parser accepts it.

    Raises:
        UserError: the folder does not exist.
    """
    options, others, rest = [], [], iter(argv)
    for token in rest:
        name, equals, value = token.partition("=")
        if name not in ("--config-dir", "-cd"):
            others.append(token)
            continue
        folder = Path(value if equals else next(rest, "")).expanduser()
        if not folder.is_dir():
            raise UserError(f"--config-dir {folder}: no such folder")
        options += ["--config-dir", str(folder.absolute())]
    return [*options, *others]


def own_config_dir(argv: Sequence[str]) -> list[str]:
    """The user's folder of configurations, as an override for :func:`hydra.compose`."""
    options = options_first(argv)
    return [f"hydra.searchpath=['file://{options[1]}']"] if "--config-dir" in options[:1] else []
