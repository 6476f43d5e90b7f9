"""Sweep files, in the format of W&B, expanded without its server.

``wandb sweep`` and ``wandb agent`` read the same files; docs/ablation.md lists the supported part
of the format.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flowdeblur.ablation.parameters import Choices, Parameter, Value, parameter, tag
from flowdeblur.ablation.plain_yaml import load_yaml
from flowdeblur.errors import UserError

METHODS = ("grid", "random", "bayes")
MAX_RUNS = 10_000


@dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
        row: name of the row in the table; runs that differ in their seed only share it.
        name: name of the run and its folder.
        parameters: values of the sweep's parameters, by key.
        overrides: command line of ``train.py``.
    """

    row: str
    name: str
    parameters: Mapping[str, Value]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Sweep:
    """The content of a sweep file, combined with the user's own overrides.

    Attributes:
        path: the file.
        title: title of its table.
        method: ``grid``, ``random`` or ``bayes``.
        metric: metric that ``bayes`` optimizes, such as ``val/psnr``.
        maximize: whether a larger metric is better.
        run_cap: number of runs of ``random`` and ``bayes``.
        parameters: the parameters that vary, by key, in the file's order.
        fixed: overrides that all runs share, by key.
    """

    path: Path
    title: str
    method: str
    metric: str
    maximize: bool
    run_cap: int | None
    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the file, without its suffix."""
        return self.path.stem

    def with_overrides(self, tokens: Sequence[str]) -> Sweep:
        """Replace entries of the file by a command line.

        A value replaces the parameter's values, or the fixed one; in a grid, ``key=a,b`` makes the
        key a parameter with these values.

        Args:
            tokens: Hydra overrides.

        Raises:
            UserError: several values are given, and the method is not grid.
        """
        parameters, fixed = dict(self.parameters), dict(self.fixed)
        for token in tokens:
            key, _, value = token.partition("=")
            values = _listed(value) if _is_plain(key) else []
            if len(values) > 1 and self.method != "grid":
                raise UserError(f"{token}: several values need a sweep of method grid")
            if len(values) > 1 or (key in parameters and values and self.method == "grid"):
                parameters[key] = Choices(tuple(values))
                fixed.pop(key, None)
            else:
                parameters.pop(key, None)
                fixed[key.lstrip("+~")] = token
        return dataclasses.replace(self, parameters=parameters, fixed=fixed)

    def points(self) -> list[Point]:
        """List the runs of a grid or of a random sweep.

        The runs of a random sweep are the same every time; a larger ``run_cap`` adds to them.

        Raises:
            UserError: the file does not fit its method, or has too many runs.
        """
        if self.method == "random":
            generator = random.Random(0)
            return [
                self.point({key: each.draw(generator) for key, each in self.parameters.items()}, n)
                for n in range(self.cap())
            ]
        points = [self.point(values) for values in self._grid()]
        for name, count in collections.Counter(point.name for point in points).items():
            if count > 1:
                raise UserError(f"{self.path}: {count} runs would have the name {name}")
        return points

    def cap(self) -> int:
        """Number of runs of every method but a grid.

        Raises:
            UserError: the file has no ``run_cap``, or it is too large.
        """
        if self.run_cap is None:
            raise UserError(f"{self.path}: method {self.method} needs run_cap, a number of runs")
        self._check_count(self.run_cap)
        return self.run_cap

    def _check_count(self, count: int) -> None:
        if count > MAX_RUNS:
            raise UserError(f"{self.path}: {count:,} runs; a sweep has at most {MAX_RUNS:,}")

    def point(self, values: Mapping[str, Value], number: int | None = None) -> Point:
        """Make the run with these values of the parameters.

        Args:
            values: values by key.
            number: number of the run, for methods that can draw equal values; it starts the name.
        """
        varied = [tag(key, value) for key, value in values.items() if key != "seed"]
        if number is not None:
            varied.insert(0, f"{number:03d}")
        row = "-".join(varied) or "run"
        seed = f"-seed{values['seed']}" if "seed" in values else ""
        varying = {key: f"{key}={_written(value)}" for key, value in values.items()}
        return Point(row, row + seed, dict(values), tuple({**self.fixed, **varying}.values()))

    def _grid(self) -> Iterator[dict[str, Value]]:
        for key, each in self.parameters.items():
            if not isinstance(each, Choices):
                raise UserError(f"{self.path}: parameters.{key}: a grid needs values, not a range")
        choices = [each.values for each in self.parameters.values() if isinstance(each, Choices)]
        self._check_count(math.prod(map(len, choices)))
        for values in itertools.product(*choices):
            yield dict(zip(self.parameters, values, strict=True))


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        UserError: it cannot be read, or has an entry that is not supported.
    """
    try:
        content = load_yaml(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a sweep file") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    method, metric = content.get("method"), content.get("metric") or {}
    if method not in METHODS:
        raise UserError(f"{path}: method is {method!r:.40}; it must be one of {', '.join(METHODS)}")
    if not isinstance(content.get("parameters"), dict):
        raise UserError(f"{path}: has no parameters; give each of them value, values or a range")
    if content.get("program") != "train.py":
        raise UserError(f"{path}: program is {content.get('program')!r:.40}; it must be train.py")
    if not isinstance(metric, dict) or (method == "bayes" and "name" not in metric):
        raise UserError(f"{path}: metric must have a name and a goal")
    command = content.get("command") or []
    if not isinstance(command, list):
        raise UserError(f"{path}: command must be a list of words")
    fixed = {
        token.partition("=")[0].lstrip("+~"): token
        for token in map(str, command)
        if "=" in token and not token.startswith("$")
    }
    fixed["logger"] = "logger=csv"  # the command's logger is for W&B's agents
    parameters: dict[str, Parameter] = {}
    for key, entry in content["parameters"].items():
        if not isinstance(key, str) or not re.fullmatch(r"[\w./@+~-]+", key):
            raise UserError(f"{path}: parameters: {key!r:.40} is not a key of the configuration")
        read = parameter(entry, f"{path}: parameters.{key}")
        if isinstance(read, Choices) and "value" in entry:
            fixed[key] = f"{key}={_written(read.values[0])}"
        else:
            parameters[key] = read
    cap = content.get("run_cap")
    if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int) or cap < 1):
        raise UserError(f"{path}: run_cap is {cap!r:.40}; it must be a number of runs")
    return Sweep(
        path,
        str(content.get("name", path.stem)),
        method,
        str(metric.get("name", "")),
        metric.get("goal", "minimize") == "maximize",
        cap,
        parameters,
        fixed,
    )


def _is_plain(key: str) -> bool:
    return not key.startswith(("+", "~", "hydra."))


def _listed(value: str) -> list[Value]:
    """Split ``a,b``; one value for ``a``, ``[a,b]`` or what only Hydra can parse."""
    try:
        values = yaml.safe_load(f"[{value}]")
    except yaml.YAMLError:
        return [value]
    # As in a file, where W&B wants it in quotes.
    return ["null" if each is None else _number(each) for each in values]


def _written(value: Any) -> str:
    """Write a value as W&B's agent does, which is as Python does; but null within a list."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written_inside, value))}]"
    return str(value)


def _written_inside(value: Any) -> str:
    if value is None:
        return "null"
    return _written(value) if isinstance(value, list) else repr(value)


def _number(value: Any) -> Value:
    """Convert texts such as 1e-3, which YAML reads as text and Hydra as a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    result: Value = value
    return result
