"""What an evaluation leaves behind: tables to read, a CSV file with every frame, images."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from flowdeblur.evaluation.restorers import Prediction
from flowdeblur.evaluation.scoring import Evaluation
from flowdeblur.types import Sample
from flowdeblur.video.images import write_image

_DECIMALS = {"psnr": 2, "ssim": 4}


def table(
    summaries: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, int | None],
    lower: Collection[str] = (),
) -> str:
    """Lay out what each protocol says.

    Args:
        summaries: by name of the protocol, see :meth:`Evaluation.summary`.
        counts: frames of each protocol's published test set, if it is of one.
        lower: names of the metrics whose lower score is better.
    """
    methods = list(next(iter(summaries.values()))["scores"])
    rows = [["protocol", "frames", "score", *(name.replace("_", " ") for name in methods)]]
    notes = []
    for name, summary in summaries.items():
        scores, count = summary["scores"], counts[name]
        left = [name, str(summary["frames"])]
        if count not in (None, summary["frames"]):
            notes.append(
                f"{name}: these are not its test set's {count} frames; "
                "do not compare with published numbers"
            )
        for metric in dict.fromkeys(each for method in methods for each in scores[method]):
            down = " (lower is better)" if metric in lower else ""
            values = (
                _number(metric, scores[method][metric]) if metric in scores[method] else "-"
                for method in methods
            )
            rows.append([*left, f"{metric}{down}", *values])
            left = ["", ""]
    return "\n".join([_aligned(rows, numbers_from=3), *([""] if notes else []), *notes])


def motion_table(bins: Sequence[Mapping[str, Any]], flow: str) -> str:
    """Lay out PSNR by motion.

    Args:
        bins: see :meth:`~flowdeblur.evaluation.motion.MotionBins.summary`.
        flow: whether the flow is ``true`` or ``predicted``.
    """
    methods = list(bins[0]["psnr"])
    rows = [[f"motion, px ({flow} flow)", "pixels", *(name.replace("_", " ") for name in methods)]]
    for each in bins:
        end = f" .. {each['to']:g}" if each["to"] is not None else " and more"
        scores = [_number("psnr", each["psnr"][name]) if each["share"] else "-" for name in methods]
        rows.append([f"{each['from']:g}{end}", f"{each['share']:.1%}", *scores])
    return _aligned(rows, numbers_from=1)


def warp_error_table(summary: Mapping[str, Any]) -> str:
    """Lay out how much each method flickers.

    Args:
        summary: see :meth:`~flowdeblur.evaluation.temporal.WarpError.summary`.
    """
    errors = summary["errors"]
    return _aligned(
        [
            ["warp error, 1e-3", "pairs", *(name.replace("_", " ") for name in errors)],
            ["", str(summary["pairs"]), *(f"{1e3 * each:.3f}" for each in errors.values())],
        ],
        numbers_from=1,
    )


def detection_table(summary: Mapping[str, Any]) -> str:
    """Lay out how far the detections of each method are those on the sharp frames.

    Args:
        summary: see :meth:`~flowdeblur.evaluation.detection.DetectionComparison.summary`.
    """
    rows = [["detections", "boxes", "matched", "precision", "recall"]]
    for name, each in summary["methods"].items():
        shares = (
            "-" if each[key] is None else f"{each[key]:.3f}" for key in ("precision", "recall")
        )
        rows.append([name.replace("_", " "), str(each["boxes"]), str(each["matched"]), *shares])
    rows.append(["sharp", str(summary["sharp"]), "", "", ""])
    return _aligned(rows, numbers_from=1)


def frames_csv(evaluation: Evaluation) -> str:
    """Write a line for every protocol, frame and method."""
    metrics = dict.fromkeys(
        metric for each in evaluation.chosen.values() for metric in each.protocol.metrics
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["protocol", "clip", "frame", "method", *metrics, "motion_px"])
    for protocol, frames in evaluation.frames.items():
        for key, methods in frames.items():
            clip, _, frame = key.rpartition("/")
            motion = evaluation.speeds.get(key)
            for method, scores in methods.items():
                values = [scores.get(metric) for metric in (*metrics,)]
                cells = ["" if value is None else f"{value:.6f}" for value in (*values, motion)]
                writer.writerow([protocol, clip, frame, method, *cells])
    return text.getvalue()


class FrameWriter:
    """Writes restored frames as ``<folder>/<clip>/<frame>.png``.

    Args:
        folder: exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, sample: Sample, predictions: Mapping[str, Prediction]) -> None:
        """Write the frame that a network has restored, rounded to 8 bits."""
        path = self.folder / f"{sample['key']}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = predictions["restored"].restored.clamp(0, 1).mul(255).round()
        write_image(path, frame.to(torch.uint8).permute(1, 2, 0).cpu().contiguous().numpy())


def _number(metric: str, value: float | None) -> str:
    decimals = _DECIMALS.get(metric.partition("_")[0], 4)
    return "inf" if value is None else f"{value:.{decimals}f}"


def _aligned(rows: Sequence[Sequence[str]], numbers_from: int) -> str:
    """Columns of text to the left, columns of numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place >= numbers_from else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
