"""JSON schema of the configuration, for editors that complete and check YAML files."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from hydra.utils import get_object

from flowdeblur.engine.configuration import ROOT, argument_hints, config_dir
from flowdeblur.engine.lesions import Request as Lesion
from flowdeblur.engine.request import Request as Evaluation

Schema = dict[str, Any]

LIBRARIES = (
    "torch.optim",
    "torch.optim.lr_scheduler",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "torchmetrics.image",
)
"""Modules whose classes are described besides those that the options name."""

_PLAIN = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    Path: "string",
    dict: "object",
}
_REFERENCE: Schema = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
_VALUE: Schema = {"$ref": "#/$defs/value"}
_CALL: Schema = {"$ref": "#/$defs/call"}
_HYDRA: Schema = {
    "_partial_": {"type": "boolean", "description": "leave the other arguments to the program"},
    "_args_": {"type": "array"},
}


def configuration_schema(name: str = "train") -> Schema:
    """Describe ``conf/<name>.yaml``, and files of recipes and rows that change it.

    A group is described by the options that come with the package: their keys, and all arguments of
    the classes that they name. Other classes are checked where they are known: those of any option
    and of :data:`LIBRARIES`. A class of your own may have any arguments. A reference such as
    ``${data.root}`` fits everywhere.
    """
    root = yaml.safe_load((config_dir() / f"{name}.yaml").read_text("utf-8"))
    properties: Schema = {
        "defaults": {"type": "array"},
        "hydra": {"type": "object"},
        **{
            key: _type(hint) | ({"default": root[key]} if key in root else {})
            for key, hint in _root_types(name).items()
        },
    }
    for entry in root["defaults"]:
        for group in entry if isinstance(entry, Mapping) else ():
            files = sorted((config_dir() / group).glob("*.yaml"))
            if files and not _is_global(files):
                properties[group] = _group(
                    [_linked(each, {group: each}) for each in map(_merged, files) if each]
                )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"flowdeblur: {name}",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": _definitions(),
    }


def _root_types(name: str) -> Mapping[str, Any]:
    """Types of the values beside the groups."""
    described = {"evaluate": Evaluation, "lesion": Lesion}
    return typing.get_type_hints(described[name]) if name in described else ROOT


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


def _linked(node: Any, whole: Mapping[str, Any]) -> Any:
    """The node with objects of the same option in place of the references to them."""
    if isinstance(node, Mapping):
        return {key: _linked(value, whole) for key, value in node.items()}
    if isinstance(node, str) and node.startswith("${") and node.endswith("}"):
        found: Any = whole
        for key in node[2:-1].split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return _linked(found, whole) if isinstance(found, Mapping) else node
    return node


def _group(options: Sequence[Mapping[str, Any]]) -> Schema:
    """A group: one of the objects that its options describe, or their named objects together."""
    objects = [_described(each) for each in options if "_target_" in each]
    named = [each for each in options if "_target_" not in each]
    if named:
        keys = dict.fromkeys(key for option in named for key in option)
        properties = {key: _any_of(_described(o[key]) for o in named if key in o) for key in keys}
        objects.append(_object(properties, any_name=all(map(_holds_objects, named))))
    return _any_of([*objects, _REFERENCE, {"type": "null"}])


def _holds_objects(node: Mapping[str, Any]) -> bool:
    """Whether the keys are names that a user may choose, such as those of callbacks."""
    return all(isinstance(each, Mapping) and "_target_" in each for each in node.values())


def _object(properties: Schema, any_name: bool) -> Schema:
    more = {"anyOf": [_CALL, _REFERENCE, {"type": "null"}]} if any_name else False
    return {"type": "object", "properties": properties, "additionalProperties": more}


def _described(node: Any) -> Schema:
    if not isinstance(node, Mapping):
        return _VALUE | {"default": node}
    own = {key: _described(value) for key, value in node.items()}
    if "_target_" not in node:
        return _any_of([_object(own, _holds_objects(node)), _REFERENCE, {"type": "null"}])
    path = node["_target_"]
    known = {key: own[key] for key, value in node.items() if isinstance(value, Mapping)}
    other = {"required": ["_target_"], "properties": {"_target_": {"not": {"const": path}}}}
    call = _arguments(path, node)
    call["properties"] |= known | {"_target_": {"const": path}}
    return _any_of([call, {"allOf": [other, _CALL]}, _REFERENCE, {"type": "null"}])


def _arguments(path: str, node: Mapping[str, Any]) -> Schema:
    """The arguments of a class or function, by its signature; defaults are those of ``node``."""
    target = get_object(path)
    hints, parameters = argument_hints(target), inspect.signature(target).parameters.values()
    properties: Schema = {"_target_": {"type": "string"}}
    for each in parameters:
        if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL):
            described = _type(hints.get(each.name, Any), each.default)
            default = {"default": node[each.name]} if each.name in node else {}
            properties[each.name] = described | default
    open_ended = any(each.kind == each.VAR_KEYWORD for each in parameters)
    return {
        "type": "object",
        "properties": properties | _HYDRA,
        "additionalProperties": _VALUE if open_ended else False,
    }


def _definitions() -> Schema:
    """What is checked wherever it stands: objects of known classes, at any depth."""
    paths = sorted({*_option_targets(), *_library_targets()})
    choices = [
        {"if": {"properties": {"_target_": {"const": path}}}, "then": {"$ref": f"#/$defs/{path}"}}
        for path in paths
    ]
    target = {"type": "string", "description": "import path of the class or function"}
    return {
        "value": {
            "if": {"type": "object", "required": ["_target_"]},
            "then": _CALL,
            "else": {"additionalProperties": _VALUE, "items": _VALUE},
        },
        "call": {
            "type": "object",
            "required": ["_target_"],
            "properties": {"_target_": target},
            "additionalProperties": _VALUE,
            "allOf": choices,
        },
        **{path: _arguments(path, {}) for path in paths},
    }


def _option_targets() -> Iterator[str]:
    for path in config_dir().rglob("*.yaml"):
        yield from _targets(yaml.safe_load(path.read_text("utf-8")))


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _targets(child)


def _library_targets() -> Iterator[str]:
    for name in LIBRARIES:
        module = importlib.import_module(name)
        for public in module.__all__:
            if inspect.isclass(getattr(module, public)):
                yield f"{name}.{public}"


def _type(annotation: Any, default: Any = inspect.Parameter.empty) -> Schema:
    """Schema of an argument; its own default fits, too, which may contradict its hint."""
    schema = _plain_type(annotation)
    if not schema:
        return _VALUE
    fits = default is None or isinstance(default, bool | int | float | str)
    return _any_of([schema, _REFERENCE, *([{"const": default}] if fits else [])])


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
        return {"type": "array", "items": _VALUE}
    return {}


def _any_of(schemas: Iterable[Schema]) -> Schema:
    distinct: list[Schema] = []
    for each in schemas:
        if each not in distinct:
            distinct.append(each)
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
