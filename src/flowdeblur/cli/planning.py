"""Plan a sweep: compose the configuration of every run and check it before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flowdeblur.ablation.jobs import SweepJob, check_budget
from flowdeblur.ablation.sweep import Point
from flowdeblur.cli.overrides import compose_configuration
from flowdeblur.engine.configuration import check_root, plain
from flowdeblur.errors import UserError


def plan(points: Iterable[Point], runs: Path, own: Path | None = None) -> list[SweepJob]:
    """Compose and check each run of a sweep.

    Args:
        points: of the sweep.
        runs: folder of the run folders.
        own: folder of the user's own configurations.

    Raises:
        UserError: an override is wrong, a row is not what its file in conf/ablation declares, or
            two rows are the same configuration.
    """
    if own is not None and not own.is_dir():
        raise UserError(f"--config-dir {own}: no such folder")
    search = [] if own is None else [f"hydra.searchpath=['file://{own.absolute()}']"]
    options = () if own is None else ("--config-dir", str(own.absolute()))
    jobs, composed = [], dict[tuple[str, ...], tuple[str, dict[str, Any]]]()
    for point in points:
        # Composing takes a third of a second, and a seed changes nothing else.
        kind = tuple(each for each in point.overrides if not each.startswith("seed="))
        if kind not in composed:
            config = compose_configuration("train", [*kind, "run_dir=.", *search])
            _check_declaration(point, config, search)
            settings = plain(config)
            check_root(settings)
            for row, earlier in composed.values():
                if _without_labels(earlier) == _without_labels(settings):
                    raise UserError(
                        f"{row} and {point.row} are the same configuration; a table compares "
                        "different ones: leave one of them out"
                    )
            composed[kind] = point.row, settings
        settings = composed[kind][1]
        steps, devices = (settings["trainer"].get(key) for key in ("max_steps", "devices"))
        job = SweepJob(
            point,
            runs / point.name,
            steps,
            settings["budget_minutes"],
            max(devices, 1) if isinstance(devices, int) else 1,
            options,
        )
        jobs.append(job)
        check_budget(jobs[-1])
    return jobs


def _check_declaration(point: Point, config: DictConfig, search: Sequence[str]) -> None:
    """Check that all values which the row's file declares have survived the other overrides."""
    row = point.parameters.get("ablation") or _choice(point.overrides, "ablation")
    if row in (None, "null"):
        return
    declared = _without_labels(_declared(str(row), search))
    for key, expected, found in _contradictions(declared, _unresolved(config)):
        raise UserError(
            f"ablation={row}: {key} is {found!r}, but the row declares {expected!r}; leave out the "
            "override that changes it"
        )


def _declared(row: str, search: Sequence[str]) -> dict[str, Any]:
    """What the file of a row sets, by key."""
    try:
        declared: dict[str, Any] = _unresolved(compose_configuration(f"ablation/{row}", search))
        return declared
    except UserError:  # a row of --config-dir, or one that chooses options of other groups
        row_only = compose_configuration("train", [f"ablation={row}", *search])
        without = compose_configuration("train", search)
        return _changed(_unresolved(without), _unresolved(row_only))


def _unresolved(config: DictConfig) -> Any:
    return OmegaConf.to_container(config)


def _changed(before: Any, after: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``after`` that differ from those of ``before``."""
    changed = {}
    for key, value in after.items():
        earlier = before.get(key) if isinstance(before, Mapping) else None
        if earlier != value:
            nested = isinstance(value, Mapping) and isinstance(earlier, Mapping)
            changed[key] = _changed(earlier, value) if nested else value
    return changed


def _contradictions(declared: Any, actual: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(declared, Mapping) and isinstance(actual, Mapping):
        for name, value in declared.items():
            yield from _contradictions(value, actual.get(name), f"{key}.{name}".lstrip("."))
    elif declared != actual:
        yield key, declared, actual


def _choice(overrides: Sequence[str], group: str) -> str | None:
    chosen = [each.partition("=")[2] for each in overrides if each.startswith(f"{group}=")]
    return chosen[-1] if chosen else None


def _without_labels(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "row"}
