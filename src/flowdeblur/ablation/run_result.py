"""The results that a finished run has left in its folder, checked while they are read."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from flowdeblur.ablation.plain_yaml import load_yaml
from flowdeblur.errors import UserError
from flowdeblur.runs import SAME_RUN

Scores = Mapping[str, float]

PROTOCOL = "all_frames"
"""Protocol of ``flowdeblur evaluate`` that scores frames as a run does."""


@dataclass(frozen=True)
class Budget:
    """The training that a run was given.

    Attributes:
        steps: optimizer steps reached.
        batch: samples of a step.
        patch: (height, width) of a sample in pixels.
        minutes: the limit, where the budget is training time; else None.
    """

    steps: int
    batch: int
    patch: tuple[int, int]
    minutes: float | None = None

    @property
    def pixels(self) -> int:
        """Pixels that the run was trained on."""
        return self.steps * self.batch * self.patch[0] * self.patch[1]


@dataclass(frozen=True)
class RunResult:
    """A finished run, or frames of another program that were scored.

    Attributes:
        folder: the run folder.
        test: test scores by name.
        frames: scores of every test frame by key.
        source: name of the test data.
        budget: the training; None for another program.
        facts: ``parameters``, ``steps``, ``seconds`` and ``minutes`` of training, ``gflop`` and
            ``milliseconds`` of a frame, as far as they are known.
        cost_of: (height, width) in pixels, and the device, of ``gflop`` and ``milliseconds``.
        history: validation scores, each with its ``step``.
        about: label and published numbers of the run's row.
        settings: the sections of the configuration that make the run what it is.
        lower_is_better: names of the scores of which a lower one is better.
    """

    folder: Path
    test: Scores
    frames: Mapping[str, Scores]
    source: str
    budget: Budget | None = None
    facts: Scores = field(default_factory=dict)
    cost_of: tuple[tuple[int, int], str] | None = None
    history: Sequence[Scores] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    lower_is_better: frozenset[str] = frozenset()

    def image(self, frame: int, what: str) -> Path | None:
        """Path of an image of a test frame, by its place and content, if there is one."""
        path = self.folder / "images" / "test" / f"{frame}_{what}.png"
        return path if path.exists() else None


def read_result(folder: Path, metrics: Mapping[str, Any]) -> RunResult:
    """Read the folder of a finished run.

    Args:
        folder: the run folder.
        metrics: content of its ``metrics.json``.

    Raises:
        UserError: a file is missing or damaged.
    """
    try:
        config = load_yaml(folder / "config.yaml")
        data, cost = config["data"], metrics.get("cost")
        minutes = config.get("budget_minutes")
        return RunResult(
            folder=folder,
            test=numbers(metrics["test"]),
            frames=read_frames(folder / "frames.csv"),
            source=_source(data),
            budget=Budget(
                steps=whole(metrics["steps"]),
                batch=whole(data["batch_size"]),
                patch=_size(data["patch"]),
                minutes=None if minutes is None else number(minutes),
            ),
            facts=_facts(metrics, cost or {}),
            cost_of=(_size(cost["size"]), str(cost["device"])) if cost else None,
            history=[numbers(entry) for entry in metrics.get("history", [])],
            about=_about(config.get("row") or {}),
            settings={key: config.get(key) for key in (*SAME_RUN, "trainer")},
            lower_is_better=frozenset(map(str, metrics.get("lower_is_better", ()))),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
        raise UserError(f"{folder}: damaged ({' '.join(str(reason).split())})") from None


def read_scored_frames(folder: Path, frames: Path, run: RunResult) -> RunResult:
    """Read the scores of frames of another program, as ``flowdeblur evaluate`` writes them.

    Args:
        folder: folder with ``metrics.json`` and ``frames.csv``.
        frames: the frames.
        run: a run on the same test data, whose frames are kept.

    Raises:
        UserError: the folder has scores of other frames, or is damaged.
    """
    try:
        facts = json.loads((folder / "metrics.json").read_text())
        with (folder / "frames.csv").open(newline="") as file:
            lines = [line for line in csv.DictReader(file) if line["protocol"] == PROTOCOL]
        scores: dict[str, dict[str, float]] = {}
        for line in lines:
            end = {"restored": "", "blurry": "_blurry"}[line["method"]]
            values = {f"{name}{end}": float(line[name]) for name in ("psnr", "ssim")}
            if (key := f"{line['clip']}/{line['frame']}") in run.frames:
                scores.setdefault(key, {}).update(numbers(values))
        means = {
            name: fmean(each[name] for each in scores.values())
            for name in ("psnr", "ssim", "psnr_blurry", "ssim_blurry")
        }
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{folder}: damaged ({error}); delete it to score again") from None
    if facts.get("predictions") != str(frames):
        raise UserError(
            f"{folder}: has the scores of {facts.get('predictions')}, not of {frames}; delete it, "
            "or choose another name"
        )
    return RunResult(folder, means, scores, run.source)


def read_frames(path: Path) -> dict[str, dict[str, float]]:
    """Read scores of frames by key; an empty cell is a score that the frame does not have.

    Raises:
        ValueError: a score is not a number, or there is no frame.
    """
    with path.open(newline="") as file:
        frames = {
            line.pop("key"): numbers({name: x for name, x in line.items() if x != ""}, text=True)
            for line in csv.DictReader(file)
        }
    if not frames:
        raise ValueError(f"{path.name} has no frames")
    return frames


def numbers(values: Any, *, text: bool = False) -> dict[str, float]:
    """Check that all values of a mapping are finite numbers.

    Args:
        values: the mapping.
        text: whether the numbers are written as text.

    Raises:
        ValueError: a value is something else.
    """
    return {str(name): number(float(value) if text else value) for name, value in values.items()}


def number(value: Any) -> float:
    """Check that a value is a finite number.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is not a number")
    return value


def whole(value: Any) -> int:
    """Check that a value is a positive integer.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r:.40} is not a positive integer")
    return value


def _facts(metrics: Mapping[str, Any], cost: Mapping[str, Any]) -> dict[str, float]:
    facts = {name: metrics.get(name) for name in ("parameters", "steps", "seconds")}
    facts |= {name: cost.get(name) for name in ("gflop", "milliseconds")}
    known = numbers({name: value for name, value in facts.items() if value is not None})
    return known | ({"minutes": known["seconds"] / 60} if "seconds" in known else {})


def _size(value: Any) -> tuple[int, int]:
    height, width = map(whole, value)
    return height, width


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    label = {"label": str(row["label"])} if row.get("label") is not None else {}
    return {**label, "paper": numbers(row.get("paper") or {})}


def _source(data: Mapping[str, Any]) -> str:
    test = data.get("test") or data.get("val") or {}
    name = str(test.get("_target_", "")).rpartition(".")[2]
    if name == "Scenes":
        height, width = test["size"]
        return f"embedded scenes of {width}x{height} pixels (split {test['split']})"
    if "root" in test:
        return f"{Path(test['root']).name}/{test.get('blurry', '')}".rstrip("/")
    return name or "unknown"
