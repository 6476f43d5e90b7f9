"""JSON schema of the configuration, for editors that complete and check YAML files."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from hydra.utils import get_object

from flowdeblur.engine.configuration import argument_hints, config_dir

Schema = dict[str, Any]

_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}
_REFERENCE: Schema = {"type": "string", "pattern": r"\$\{"}
_HYDRA: Schema = {
    "_target_": {"type": "string", "description": "import path of the class or function"},
    "_partial_": {"type": "boolean", "description": "leave the other arguments to the program"},
    "_args_": {"type": "array"},
}


def configuration_schema(name: str = "train") -> Schema:
    """Describe ``conf/<name>.yaml``, and files of recipes and rows that change it.

    A group is described by the options that come with the package: their keys, and all arguments of
    the classes that they name. A reference such as ``${data.root}`` fits everywhere.
    """
    root = yaml.safe_load((config_dir() / f"{name}.yaml").read_text("utf-8"))
    properties: Schema = {
        "defaults": {"type": "array"},
        "hydra": {"type": "object"},
        **{key: {"default": root[key]} for key in root if key not in ("defaults", "hydra")},
    }
    for entry in root["defaults"]:
        for group in entry if isinstance(entry, Mapping) else ():
            files = sorted((config_dir() / group).glob("*.yaml"))
            if files and not _is_global(files):
                described = [_described(each) for each in map(_merged, files) if each]
                properties[group] = {"anyOf": [{"type": "null"}, *_distinct(described)]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"flowdeblur: {name}",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _is_global(options: Iterable[Path]) -> bool:
    """Whether the options of a group change keys at the root; such a group is no key itself."""
    return any("@package _global_" in each.read_text("utf-8") for each in options)


def _merged(path: Path) -> Schema:
    """An option with the files that its list of defaults names."""
    own = yaml.safe_load(path.read_text("utf-8")) or {}
    merged: Schema = {}
    for entry in own.pop("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            name, _, place = entry.partition("@")
            folder = config_dir() if name.startswith("/") else path.parent
            part = _merged(folder / f"{name.lstrip('/')}.yaml")
            _merge(merged, part if place in ("", "_here_") else {place: part})
    _merge(merged, own)
    return merged


def _merge(target: Schema, source: Mapping[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def _described(node: Any) -> Schema:
    if isinstance(node, Mapping):
        properties = {key: _described(value) for key, value in node.items()}
        described: Schema = {"type": "object", "properties": properties}
        if "_target_" in node:
            target = get_object(node["_target_"])
            hints = argument_hints(target)
            parameters = inspect.signature(target).parameters.values()
            for each in parameters:
                if each.kind != each.VAR_KEYWORD and not isinstance(node.get(each.name), Mapping):
                    default = {"default": node[each.name]} if each.name in node else {}
                    properties[each.name] = _type(hints.get(each.name, Any)) | default
            properties |= _HYDRA
            described["additionalProperties"] = any(e.kind == e.VAR_KEYWORD for e in parameters)
        return {"anyOf": [described, *_other_target(node), _REFERENCE, {"type": "null"}]}
    return {"default": node}


def _other_target(node: Mapping[str, Any]) -> list[Schema]:
    """A node may name another class in place of this one, whose arguments are not known here."""
    if "_target_" not in node:
        return []
    other = {"_target_": {"not": {"const": node["_target_"]}}}
    return [{"type": "object", "required": ["_target_"], "properties": other}]


def _type(annotation: Any) -> Schema:
    schema = _plain_type(annotation)
    return {"anyOf": [schema, _REFERENCE]} if schema else {}


def _plain_type(annotation: Any) -> Schema:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _PLAIN:
        return {"type": _PLAIN[annotation]}
    if annotation in (None, type(None)):
        return {"type": "null"}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        parts = [_plain_type(each) for each in arguments]
        return {"anyOf": parts} if all(parts) else {}
    if origin in (list, tuple, Sequence, Iterable):
        return {"type": "array"}
    return {}


def _distinct(schemas: Iterable[Schema]) -> list[Schema]:
    found: list[Schema] = []
    for each in schemas:
        if each not in found:
            found.append(each)
    return found
