"""The few lines that a run ends with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch

from flowdeblur.benchmarks.machine import describe
from flowdeblur.benchmarks.network import measure
from flowdeblur.data import DataModule
from flowdeblur.networks import FlowGuidedDeblurring
from flowdeblur.runs import RunFolder


def summary(scores: Mapping[str, Mapping[str, float]], folder: RunFolder) -> str:
    """Tell what was reached on the held-out test data and where everything lies."""
    test = scores["test"]
    lines = ["", "Held-out test data"]
    if "psnr" in test:
        lines += [
            "                         PSNR dB    SSIM",
            f"  blurry input           {test['psnr_blurry']:7.2f}  {test['ssim_blurry']:.4f}",
            f"  restored               {test['psnr']:7.2f}  {test['ssim']:.4f}"
            f"   ({test['psnr'] - test['psnr_blurry']:+.2f} dB)",
        ]
        if "psnr_same_frame" in test:
            lines.append(
                f"  restored, no motion    {test['psnr_same_frame']:7.2f}"
                "            both frames are the same one"
            )
    if "epe" in test:
        zero = f" (no flow at all: {test['epe_of_zero']:.2f})" if "epe_of_zero" in test else ""
        lines.append(f"  flow, end-point error  {test['epe']:7.2f} px{zero}")
    lines += ["", f"run folder  {folder.path}"]
    picture = folder.pictures / "test.png"
    if picture.exists():
        lines.append(f"picture     {picture}")
    lines.append(f"weights     {folder.weights}")
    return "\n".join(lines)


def cost(network: FlowGuidedDeblurring, data: DataModule, device: torch.device) -> dict[str, Any]:
    """Measure what restoring a frame of the test data takes.

    Returns:
        ``size`` (H, W) of the first test frame in pixels, ``gflop`` and ``milliseconds`` a frame,
        and the ``device`` that these are of.
    """
    height, width = data.open("test")[0]["sharp"].shape[-2:]
    row = measure("", network, (height, width), device, repetitions=5)
    return {
        "size": [height, width],
        "gflop": row.gflop,
        "milliseconds": row.milliseconds,
        "device": describe(device),
    }


def describe_device(trainer: L.Trainer) -> str:
    """Name the hardware and the versions that a number was made with."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    count = trainer.world_size
    return f"{count} x {name or platform.machine()} ({device.type}), torch {torch.__version__}"
