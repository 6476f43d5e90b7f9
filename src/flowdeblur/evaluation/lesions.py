"""Decibels lost when a part of a network is switched off."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from flowdeblur.evaluation.metrics import psnr
from flowdeblur.extras import import_extra
from flowdeblur.networks.inference import infer
from flowdeblur.networks.lesions import Lesion
from flowdeblur.types import Network, Sample


@dataclass
class LesionScores:
    """PSNR of every frame, whole and under each lesion.

    Attributes:
        keys: ``clip/frame`` of each frame.
        blurry: PSNR of the blurry frames, dB.
        restored: PSNR of the restored frames, dB.
        lesions: PSNR of the restored frames by lesion, dB.
    """

    keys: list[str] = field(default_factory=list)
    blurry: list[float] = field(default_factory=list)
    restored: list[float] = field(default_factory=list)
    lesions: dict[str, list[float]] = field(default_factory=dict)

    def lost(self) -> dict[str, tuple[float, float]]:
        """Mean loss of each lesion in dB, and its standard error over the frames."""
        whole = np.array(self.restored)
        return {
            name: (
                float((whole - values).mean()),
                float(np.std(whole - values, ddof=1) / len(whole) ** 0.5) if len(whole) > 1 else 0,
            )
            for name, values in self.lesions.items()
        }

    def summary(self) -> dict[str, Any]:
        """Values for ``metrics.json``."""
        return {
            "frames": len(self.keys),
            "psnr_blurry": float(np.mean(self.blurry)),
            "psnr": float(np.mean(self.restored)),
            "lost_db": {
                name: {"mean": mean, "standard_error": error}
                for name, (mean, error) in self.lost().items()
            },
        }

    def markdown(self) -> str:
        """Table of the mean losses; a part that costs nothing is not used by the network."""
        blurry, restored = np.mean(self.blurry), np.mean(self.restored)
        lines = [
            f"{len(self.keys)} frames: blurry {blurry:.2f} dB, restored {restored:.2f} dB "
            f"({restored - blurry:+.2f} dB)",
            "",
            "| part switched off | dB lost | standard error |",
            "|---|---:|---:|",
        ]
        lines += [
            f"| {name} | {mean:.2f} | {error:.2f} |" for name, (mean, error) in self.lost().items()
        ]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """One line per frame."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["key", "blurry", "restored", *self.lesions])
        columns = [self.blurry, self.restored, *self.lesions.values()]
        for key, *values in zip(self.keys, *columns, strict=True):
            writer.writerow([key, *(f"{value:.4f}" for value in values)])
        return text.getvalue()

    def plot(self, path: Path) -> None:
        """Write a bar chart of the losses as PNG.

        Raises:
            UserError: matplotlib is not installed.
        """
        figure = import_extra("matplotlib.figure", "report").Figure(figsize=(7, 5), dpi=120)
        axes = figure.add_subplot()
        lost = self.lost()
        means, errors = ([value[place] for value in lost.values()] for place in (0, 1))
        axes.barh(list(lost), means, xerr=errors, color="#2b6cb0")
        axes.invert_yaxis()
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xlabel("dB lost when switched off")
        figure.tight_layout()
        figure.savefig(path)


def measure(
    network: Network, samples: Iterable[Sample], lesions: Mapping[str, Lesion], device: torch.device
) -> LesionScores:
    """Restore every sample with the whole network and under each lesion.

    Args:
        network: in evaluation mode, on ``device``.
        samples: frames at full size; they may differ in size.
        lesions: see :func:`flowdeblur.networks.lesions.lesions`.
        device: where to compute.

    Raises:
        RuntimeFailureError: an output is not finite, or memory does not suffice.
    """
    scores = LesionScores(lesions={name: [] for name in lesions})
    for sample in tqdm(samples, unit="frame", disable=None, dynamic_ncols=True):
        frames = (sample["frames"][None].float() / 255).to(device)
        sharp = (sample["sharp"][None].float() / 255).to(device)

        def score(image: Tensor, sharp: Tensor = sharp) -> float:
            return float(psnr(image, sharp))

        scores.keys.append(sample["key"])
        scores.blurry.append(score(frames[:, network.current_index]))
        scores.restored.append(score(infer(network, frames).restored))
        for name, lesion in lesions.items():
            with lesion():
                scores.lesions[name].append(score(infer(network, frames).restored))
    return scores
