"""One measurement of lesions: from a configuration to a table in a run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from omegaconf import DictConfig

import flowdeblur
from flowdeblur import weights
from flowdeblur.data import DataModule
from flowdeblur.devices import find_device
from flowdeblur.engine.configuration import check_values, instantiate, plain
from flowdeblur.errors import UserError
from flowdeblur.evaluation.lesions import measure
from flowdeblur.files import sha256, write_text
from flowdeblur.networks.lesions import lesions


@dataclass(frozen=True)
class Request:
    """Values at the root of ``conf/lesion.yaml``.

    Attributes:
        weights: a weights file, a run folder, or a name.
        allow: packages besides flowdeblur whose classes the weights file may name.
        split: part of the data.
        max_frames: largest number of frames, spread evenly; None takes all.
        device: where to compute; None takes the GPU if there is one.
        seed: seed that the data refer to.
        run_dir: folder of the results.
    """

    weights: str | None
    allow: Sequence[str]
    split: Literal["train", "val", "test"]
    max_frames: int | None
    device: str | None
    seed: int
    run_dir: str


def lesion(config: DictConfig) -> str:
    """Measure what each part of a network contributes.

    Writes ``lesions.md``, ``lesions.csv`` (PSNR of every frame), ``lesions.png`` (where matplotlib
    is installed) and ``metrics.json``.

    Args:
        config: composed from ``conf/lesion.yaml``.

    Returns:
        The table.

    Raises:
        UserError: the configuration or a file it names is wrong, or the network has no part that
            can be switched off.
        RuntimeFailureError: an output is not finite, or memory does not suffice.
    """
    settings = plain(config)
    described = settings.pop("data")
    check_values(settings, Request)
    request = Request(**settings)
    if request.weights is None:
        raise UserError("weights: name a weights file or a run folder: flowdeblur lesion WEIGHTS")
    folder = Path(request.run_dir)
    if (folder / "metrics.json").exists():
        raise UserError(f"{folder}: already contains a metrics.json; choose another hydra.run.dir")
    device = find_device(request.device, "device=")
    path = weights.locate(request.weights)
    network = weights.load(path, allow=request.allow).to(device).eval()
    parts = lesions(network)
    if not parts:
        raise UserError(f"{path}: this network has no part to switch off; see networks.lesions")
    data: DataModule = instantiate(
        described, "data", frame_offsets=network.frame_offsets, flow_offsets=network.flow_offsets
    )
    samples = data.sources[request.split].open(network.frame_offsets, network.flow_offsets)
    step = -(-len(samples) // request.max_frames) if request.max_frames else 1
    chosen = (samples[index] for index in range(0, len(samples), step))
    scores = measure(network, chosen, parts, device)
    metrics = {
        "flowdeblur": flowdeblur.__version__,
        "weights": str(path),
        "weights_sha256": sha256(path),
        "split": request.split,
        "data": described.get(request.split),
        "device": f"{device}, torch {torch.__version__}",
        **scores.summary(),
    }
    write_text(folder / "lesions.md", scores.markdown())
    write_text(folder / "lesions.csv", scores.csv())
    written = "lesions.md, lesions.csv"
    try:
        scores.plot(folder / "lesions.png")
        written += ", lesions.png"
    except UserError as error:
        written += f" (no plot: {error})"
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False) + "\n")
    return f"{scores.markdown()}\n{folder}: {written}, metrics.json"
