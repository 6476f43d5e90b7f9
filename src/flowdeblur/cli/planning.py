"""Plan a sweep: compose the configuration of every run and check it before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from flowdeblur.ablation.jobs import Job, check_budget
from flowdeblur.ablation.sweep import Point
from flowdeblur.cli.overrides import explain
from flowdeblur.engine.configuration import check_root, config_dir, plain
from flowdeblur.errors import UserError


def plan(points: Iterable[Point], runs: Path) -> list[Job]:
    """Compose and check each run of a sweep.

    Args:
        points: of the sweep.
        runs: folder of the run folders.

    Raises:
        UserError: an override is wrong, a row is not what its file in conf/ablation declares, or
            two rows are the same configuration.
    """
    jobs, composed = [], dict[tuple[str, ...], tuple[str, dict[str, Any]]]()
    for point in points:
        # Composing takes a third of a second, and a seed changes nothing else.
        kind = tuple(each for each in point.overrides if not each.startswith("seed="))
        if kind not in composed:
            config = _compose("train", [*kind, "run_dir=."])
            _check_declaration(point, config)
            settings = plain(config)
            check_root(settings)
            for row, earlier in composed.values():
                if _without_labels(earlier) == _without_labels(settings):
                    raise UserError(
                        f"{row} and {point.row} are the same configuration; a table compares "
                        "different ones: leave one of them out"
                    )
            composed[kind] = point.row, settings
        trainer = composed[kind][1]["trainer"]
        devices = trainer["devices"] if isinstance(trainer["devices"], int) else 1
        jobs.append(Job(point, runs / point.name, trainer["max_steps"], max(devices, 1)))
        check_budget(jobs[-1])
    return jobs


def _compose(name: str, overrides: Sequence[str]) -> DictConfig:
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return compose(name, list(overrides))
    except HydraException as error:
        raise UserError(explain(error, overrides, name)) from None
    finally:
        GlobalHydra.instance().clear()


def _check_declaration(point: Point, config: DictConfig) -> None:
    """Check that all values which the row's file declares have survived the other overrides."""
    row = point.parameters.get("ablation") or _choice(point.overrides, "ablation")
    if row in (None, "null"):
        return
    declared = _without_labels(_declared(str(row)))
    for key, expected, found in _contradictions(declared, _unresolved(config)):
        raise UserError(
            f"ablation={row}: {key} is {found!r}, but the row declares {expected!r}; leave out the "
            "override that changes it"
        )


def _declared(row: str) -> dict[str, Any]:
    """What the file of a row sets, by key."""
    try:
        declared: dict[str, Any] = _unresolved(_compose(f"ablation/{row}", []))
        return declared
    except UserError:  # a file that chooses options of other groups composes within train.yaml only
        alone, without = (_compose("train", [f"ablation={each}"]) for each in (row, "null"))
        return _changed(_unresolved(without), _unresolved(alone))


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
