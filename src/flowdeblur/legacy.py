"""Configurations of runs that earlier versions wrote, in the form of this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {"without": "exclude", "credits": "attribution"}
"""Keys of data, at any depth: old and new name."""

_SCHEDULERS = {"WarmupCosine": "warmup_cosine", "Polynomial": "polynomial"}
_SCORES = {"DeblurringTask": ("val/psnr", "max"), "FlowTask": ("val/loss", "min")}


def modern(config: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a ``config.yaml`` of any version.

    Args:
        config: plain values of the whole configuration.
    """
    settings = dict(config)
    settings["data"] = _renamed(settings.get("data"))
    optimization = settings.get("optimizer")
    if isinstance(optimization, Mapping) and "optimizer" in optimization:
        settings["optimizer"] = optimization["optimizer"]
        settings["scheduler"] = _scheduler(optimization.get("schedule"), settings)
        settings["parameter_groups"] = optimization.get("groups")
        score, mode = _SCORES.get(_name(settings.get("task")), (None, None))
        settings["task"] = {
            "flow_first": optimization.get("flow_first", 0),
            "score": score,
            "score_mode": mode,
            **settings.get("task", {}),
        }
        if _name(settings["task"]) == "FlowTask":
            del settings["task"]["flow_first"]
    return settings


def _renamed(node: Any) -> Any:
    """Replace the old names of keys, at any depth."""
    if isinstance(node, Mapping):
        return {RENAMED.get(key, key): _renamed(value) for key, value in node.items()}
    return [_renamed(each) for each in node] if isinstance(node, list) else node


def _scheduler(schedule: Any, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    if not schedule:
        return None
    name = _SCHEDULERS[_name(schedule)]
    options = {key: value for key, value in schedule.items() if key != "_target_"}
    if name == "warmup_cosine":
        options["total_steps"] = settings.get("trainer", {}).get("max_steps")
    return {"_target_": f"flowdeblur.training.optimization.{name}", "_partial_": True, **options}


def _name(node: Any) -> str:
    return str(node.get("_target_")).rpartition(".")[2] if isinstance(node, Mapping) else ""
