"""``flowdeblur benchmark data``: how fast samples come, beside how long a training step takes."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from flowdeblur.errors import UserError

if TYPE_CHECKING:
    import torch

STEPS = 5


def run(arguments: argparse.Namespace) -> None:
    """Write frames, measure, print the tables.

    Raises:
        UserError: a number is out of its range, or the model is unknown.
    """
    from flowdeblur.benchmarks.data import measure_costs, measure_rates, to_markdown, write_frames
    from flowdeblur.devices import describe_device, find_device, one_thread_per_operation
    from flowdeblur.files import write_text

    if min(arguments.workers) < 0 or arguments.repetitions < 1 or arguments.seconds <= 0:
        raise UserError("--workers, --repetitions, --seconds: must be above 0 (workers: or 0)")
    device = find_device(arguments.device)
    step = _step(arguments.model, device) if arguments.model else None
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, one_thread_per_operation():
        sources = write_frames(Path(folder))
        rates = []
        for rate in measure_rates(
            sources, arguments.workers, arguments.seconds, arguments.repetitions
        ):
            rates.append(rate)
            print(
                f"{rate.frames}, {rate.augmentation}, {rate.workers} workers: "
                f"{rate.samples_per_second:.0f} samples/s",
                flush=True,
            )
        costs = measure_costs(sources)
    table = to_markdown(rates, costs, step, describe_device(device))
    print(f"\n{table}")
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(arguments.out.with_suffix(".md"), table)
        content = {
            "measured": describe_device(device),
            "step": step,
            "rates": [asdict(rate) for rate in rates],
            "costs": [asdict(cost) for cost in costs],
        }
        write_text(arguments.out.with_suffix(".json"), json.dumps(content, indent=1) + "\n")


def _step(name: str, device: torch.device) -> tuple[str, float]:
    """Name a training step of a model of ``conf/model``, and measure its seconds a sample."""
    import torch

    from flowdeblur.benchmarks.data import BATCH, PATCH
    from flowdeblur.cli.overrides import compose_configuration
    from flowdeblur.engine.configuration import instantiate, plain

    overrides = [f"model={name}", "objective=paper", "run_dir=."]
    settings = plain(compose_configuration("train", overrides))
    network = instantiate(settings["model"], "model").to(device)
    objective = instantiate(settings["objective"], "objective")
    optimizer = torch.optim.Adam(network.parameters(), fused=device.type == "cuda")
    shape = (BATCH, len(network.frame_offsets), 3, *PATCH)
    batch = {
        "frames": torch.rand(shape, device=device),
        "sharp": torch.rand((BATCH, 3, *PATCH), device=device),
        "key": ["noise"] * BATCH,
    }
    times = []
    for _ in range(STEPS + 1):  # the first one warms up
        start = time.perf_counter()
        prediction = network(batch["frames"], keep_rnn_weights=False)
        terms = objective(prediction, batch, network.frame_offsets, network.flow_offsets)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return f"{name}, Eq. 14, Adam, batches of {BATCH}", statistics.median(times[1:]) / BATCH
