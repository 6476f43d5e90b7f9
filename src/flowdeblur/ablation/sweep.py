"""Sweep files, in the format of W&B, expanded without its server.

``wandb sweep`` and ``wandb agent`` take the same files as they are; see docs/ablation.md for what
of the format is understood here.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flowdeblur.ablation.parameters import Choices, Parameter, Value, parameter, tag
from flowdeblur.errors import UserError

METHODS = ("grid", "random", "bayes")


@dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
        row: what is compared, by name; runs that differ in their seed alone share it.
        name: of the run and its folder.
        parameters: the values of the sweep's parameters, by key.
        overrides: what ``train.py`` is given.
    """

    row: str
    name: str
    parameters: Mapping[str, Value]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Sweep:
    """What a sweep file says, with the user's own overrides worked in.

    Attributes:
        path: the file.
        title: its name for people.
        method: ``grid``, ``random`` or ``bayes``.
        metric: what ``bayes`` judges a run by, as ``val/psnr``.
        maximize: whether more of it is better.
        run_cap: number of runs of ``random`` and ``bayes``.
        parameters: what varies, by key, in the file's order.
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
        """The file's name, without its suffix."""
        return self.path.stem

    def with_overrides(self, tokens: Sequence[str]) -> Sweep:
        """Let a command line replace what the file says.

        A value replaces the parameter's values, or the fixed one; in a grid, ``key=a,b`` makes the
        key a parameter with these values.

        Args:
            tokens: Hydra overrides.

        Raises:
            UserError: several values are given in a sweep that is no grid.
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
        """The runs of a grid or of a random sweep.

        A random sweep's are the same every time; a larger ``run_cap`` adds to them.

        Raises:
            UserError: the file does not suit its method.
        """
        if self.method == "random":
            generator = random.Random(0)
            return [
                self.point({key: each.draw(generator) for key, each in self.parameters.items()}, n)
                for n in range(self.cap())
            ]
        points = [self.point(values) for values in self._grid()]
        for first, second in itertools.combinations(points, 2):
            if first.name == second.name:
                raise UserError(f"{self.path}: two runs would be named {first.name}")
        return points

    def cap(self) -> int:
        """``run_cap``, which every method but a grid needs.

        Raises:
            UserError: the file has none.
        """
        if self.run_cap is None:
            raise UserError(f"{self.path}: method {self.method} needs run_cap, a number of runs")
        return self.run_cap

    def point(self, values: Mapping[str, Value], number: int | None = None) -> Point:
        """The run with these values of the parameters.

        Args:
            values: by key.
            number: of the run, where values alone may not tell runs apart; it begins the name.
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
        for values in itertools.product(*choices):
            yield dict(zip(self.parameters, values, strict=True))


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        UserError: it is missing, no YAML, or says something that is not understood here.
    """
    content = _load(path)
    method, metric = content.get("method"), content.get("metric") or {}
    if method not in METHODS:
        raise UserError(f"{path}: method is {method!r}, but must be one of {', '.join(METHODS)}")
    if not isinstance(content.get("parameters"), dict):
        raise UserError(f"{path}: has no parameters; give each of them value, values or a range")
    if content.get("program") != "train.py":
        raise UserError(f"{path}: program is {content.get('program')!r}, but must be train.py")
    if method == "bayes" and "name" not in metric:
        raise UserError(f"{path}: method bayes needs a metric with name and goal")
    fixed = {
        token.partition("=")[0].lstrip("+~"): token
        for token in map(str, content.get("command") or [])
        if "=" in token and not token.startswith("$")
    }
    fixed["logger"] = "logger=csv"  # the command's logger is for W&B's agents
    parameters: dict[str, Parameter] = {}
    for key, entry in content["parameters"].items():
        understood = parameter(entry, f"{path}: parameters.{key}")
        if isinstance(understood, Choices) and "value" in entry:
            fixed[key] = f"{key}={_written(understood.values[0])}"
        else:
            parameters[key] = understood
    cap = content.get("run_cap")
    if cap is not None and (not isinstance(cap, int) or cap < 1):
        raise UserError(f"{path}: run_cap is {cap!r}, but must be a number of runs")
    goal = metric.get("goal", "minimize")
    return Sweep(
        path,
        str(content.get("name", path.stem)),
        method,
        metric.get("name", ""),
        goal == "maximize",
        cap,
        parameters,
        fixed,
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a sweep file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path}: is not YAML ({line})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: is no sweep file")
    return content


def _is_plain(key: str) -> bool:
    return not key.startswith(("+", "~", "hydra."))


def _listed(value: str) -> list[Value]:
    """The values of ``a,b``; one for ``a``, ``[a,b]`` or what only Hydra understands."""
    try:
        values = yaml.safe_load(f"[{value}]")
    except yaml.YAMLError:
        return [value]
    # As in a file, where W&B wants it in quotes.
    return ["null" if each is None else _number(each) for each in values]


def _written(value: Any) -> str:
    """A value as W&B's agent writes it, which is as Python does, but for null within a list."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written_inside, value))}]"
    return str(value)


def _written_inside(value: Any) -> str:
    if value is None:
        return "null"
    return _written(value) if isinstance(value, list) else repr(value)


def _number(value: Any) -> Value:
    """YAML takes 1e-3 for a text, Hydra for a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    result: Value = value
    return result
