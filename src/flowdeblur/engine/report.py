"""Summary and cost of a finished run."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch

from flowdeblur.data import DataModule
from flowdeblur.devices import describe_device
from flowdeblur.networks.cost import gflop, milliseconds
from flowdeblur.runs import RunFolder
from flowdeblur.types import Network


def summary(scores: Mapping[str, Mapping[str, float]], folder: RunFolder) -> str:
    """Summarize the test scores and list the files of the run, in a few lines."""
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
                f"  restored, same frame   {test['psnr_same_frame']:7.2f}"
                "            same frame given twice"
            )
    if "epe" in test:
        others = [
            f"{name} {test[key]:.2f}"
            for name, key in (("zero flow", "epe_of_zero"), ("DIS", "epe_of_dis"))
            if key in test
        ]
        beside = f"   ({', '.join(others)})" if others else ""
        lines.append(f"  flow, end-point error  {test['epe']:7.2f} px{beside}")
    lines += ["", f"run folder  {folder.path}"]
    image = folder.images / "test.png"
    if image.exists():
        lines.append(f"image       {image}")
    lines.append(f"weights     {folder.weights}")
    return "\n".join(lines)


def cost(network: Network, data: DataModule, device: torch.device) -> dict[str, Any]:
    """Measure the cost of restoring a frame of the test data.

    Returns:
        ``size`` (H, W) of the first test frame in pixels, ``gflop`` and ``milliseconds`` per frame,
        and a description of the ``device``.
    """
    height, width = data.open("test")[0]["sharp"].shape[-2:]
    return {
        "size": [height, width],
        "gflop": gflop(network, (height, width)),
        "milliseconds": milliseconds(network, (height, width), device, repetitions=5),
        "device": describe_device(device),
    }


def hardware(trainer: L.Trainer) -> str:
    """Describe the devices that the run was trained on."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    count = trainer.world_size
    return f"{count} x {name or platform.machine()} ({device.type}), torch {torch.__version__}"
