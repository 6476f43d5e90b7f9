"""One evaluation: from a configuration to scores under each protocol."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

import flowdeblur
from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.data import DataModule
from flowdeblur.datasets.official.single_images import SingleImages
from flowdeblur.devices import find_device
from flowdeblur.engine.assembly import make_metrics
from flowdeblur.engine.configuration import check_values, instantiate, plain
from flowdeblur.engine.methods import choose_methods
from flowdeblur.engine.request import Request
from flowdeblur.errors import UserError
from flowdeblur.evaluation.detection import DetectionComparison, DetectionF1
from flowdeblur.evaluation.motion import MotionBins
from flowdeblur.evaluation.protocol import Protocol
from flowdeblur.evaluation.report import (
    FrameWriter,
    detection_table,
    frames_csv,
    motion_table,
    table,
    warp_error_table,
)
from flowdeblur.evaluation.restorers import FromFolder, SharpFrame
from flowdeblur.evaluation.scorer import lower_is_better
from flowdeblur.evaluation.scoring import Evaluation, Observer, choose, require_successive, score
from flowdeblur.evaluation.temporal import WarpError
from flowdeblur.files import filling, write_text
from flowdeblur.types import Source
from flowdeblur.video.images import write_image
from flowdeblur.viz.detections import draw_detections


def evaluate(config: DictConfig) -> str:
    """Score weights or predictions, and write ``metrics.json`` and ``frames.csv``.

    Args:
        config: composed from ``conf/evaluate.yaml``.

    Returns:
        Tables of the scores.

    Raises:
        UserError: the configuration or a file it names is wrong.
        RuntimeFailureError: a network's output is not finite, memory does not suffice, ...
    """
    settings = plain(config)
    groups = {name: settings.pop(name, None) for name in ("data", "protocols", "model", "metrics")}
    check_values(settings, Request)
    request = Request(**settings)
    folder = Path(request.run_dir)
    if (folder / "metrics.json").exists():
        raise UserError(f"{folder}: holds a metrics.json already; choose another hydra.run.dir")
    motion = MotionBins(request.motion_bins)
    if not groups["protocols"]:
        raise UserError("protocols: choose at least one, such as protocols=all_frames")
    further = make_metrics({"metrics": groups["metrics"] or {}})
    protocols: dict[str, Protocol] = {
        name: instantiate(node, f"protocols.{name}").extended(further)
        for name, node in groups["protocols"].items()
    }
    device = find_device(request.device, "device=")
    restoring = choose_methods(request, groups["model"], device)

    data: DataModule = instantiate(
        groups["data"],
        "data",
        frame_offsets=restoring.frame_offsets,
        flow_offsets=restoring.flow_offsets,
    )
    source = every_frame(data.sources[request.split])
    if request.warp_error and isinstance(source, SingleImages):
        raise UserError("warp_error: the data are single images, not clips; leave it out")
    samples = source.open(restoring.frame_offsets, restoring.flow_offsets)
    chosen = {name: choose(name, each, samples.keys) for name, each in protocols.items()}
    require_successive(further, chosen)
    if request.sharp:
        restoring.methods["sharp"] = SharpFrame()
    for method in restoring.methods.values():
        if isinstance(method, FromFolder):
            method.require(sorted({key for each in chosen.values() for key in each.keys}))

    observers: list[Observer] = []
    warp_error = None
    if request.warp_error:
        scored = {key for each in chosen.values() for key in each.keys}
        warp_error = WarpError(samples.keys, scored, DenseInverseSearch())
        observers.append(warp_error)
    detections = [
        DetectionComparison(each.detector)
        for each in further.values()
        if isinstance(each, DetectionF1)
    ]
    observers += detections

    start = time.perf_counter()
    with ExitStack() as stack:
        if request.save_frames:
            observers.append(FrameWriter(stack.enter_context(filling(folder / "frames"))))
        evaluation = score(
            samples,
            restoring.methods,
            chosen,
            motion,
            device=device,
            workers=data.workers,
            observers=observers,
        )
    summaries = {name: evaluation.summary(name) for name in chosen}
    metrics = {
        "flowdeblur": flowdeblur.__version__,
        **restoring.facts,
        "split": request.split,
        "data": groups["data"].get(request.split) or groups["data"]["val"],
        "device": f"{device}, torch {torch.__version__}",
        "seconds": time.perf_counter() - start,
        "lower_is_better": [name for name, each in further.items() if lower_is_better(each)],
        "metrics": groups["metrics"],
        "protocols": {
            name: {**summary, "settings": groups["protocols"][name]}
            for name, summary in summaries.items()
        },
        "motion": _motion(evaluation),
    }
    if warp_error is not None:
        metrics["warp_error"] = {"flow": DenseInverseSearch.version(), **warp_error.summary()}
    for each in detections:
        metrics["detection"] = each.summary()
        for key, found in each.frames:
            write_image(folder / f"detections_{key.replace('/', '_')}.png", draw_detections(found))
    write_text(folder / "frames.csv", frames_csv(evaluation))
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False) + "\n")
    return _tables(evaluation, summaries, metrics, folder)


def every_frame(source: Source) -> Source:
    """Undo a source's selection of frames, because here the protocols select."""
    every = {"last_frame": True, "first": 0, "every": 1}
    changes: Any = {name: value for name, value in every.items() if hasattr(source, name)}
    # Sources that select frames are dataclasses of clips.
    whole: Source = replace(source, **changes) if changes else source  # type: ignore[type-var]
    return whole


def _motion(evaluation: Evaluation) -> dict[str, Any] | None:
    if evaluation.flow is None:
        return None
    return {"flow": evaluation.flow, "bins": evaluation.motion.summary()}


def _tables(
    evaluation: Evaluation,
    summaries: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Any],
    folder: Path,
) -> str:
    counts = {name: each.protocol.count for name, each in evaluation.chosen.items()}
    parts = [table(summaries, counts, metrics["lower_is_better"])]
    if evaluation.flow is not None:
        parts.append(motion_table(evaluation.motion.summary(), evaluation.flow))
    if "warp_error" in metrics:
        parts.append(warp_error_table(metrics["warp_error"]))
    if "detection" in metrics:
        parts.append(detection_table(metrics["detection"]))
    parts.append(f"metrics  {folder / 'metrics.json'}\nframes   {folder / 'frames.csv'}")
    return "\n\n".join(parts)
