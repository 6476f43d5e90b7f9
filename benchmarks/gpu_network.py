"""Rates and memory of the default network on a GPU: training steps, frames, compiled and captured.

    python -m benchmarks.gpu_network {training,frames} [--device cpu --tiny] --out FILE.md

A measurement that fails, out of memory for instance, is a line of the table; the others follow.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from flowdeblur.benchmarks.gpu_timing import captured
from flowdeblur.devices import describe_device

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SIZES = {"720p": (720, 1280), "1080p": (1080, 1920), "2160p": (2160, 3840)}
Measurement = tuple[str, Callable[[], Callable[[], object]]]


def network(tiny: bool) -> torch.nn.Module:
    """Build the network that ``train.py`` trains by default."""
    folder = Path(__file__).resolve().parent.parent / "conf"
    with initialize_config_dir(str(folder), version_base=None):
        overrides = ["model.width=4"] if tiny else []
        return instantiate(compose("train", overrides).model)


def training(device: torch.device, tiny: bool) -> Iterator[Measurement]:
    """Steps of Adam on 20 patches of 256x256."""
    shape = (1, 2, 3, 64, 64) if tiny else (20, 2, 3, 256, 256)
    for dtype in ("float32", "bfloat16"):

        def prepare(dtype: str = dtype) -> Callable[[], object]:
            model = network(tiny).to(device)
            optimizer = torch.optim.Adam(model.parameters())
            frames = torch.rand(shape, device=device)

            def step() -> None:
                optimizer.zero_grad()
                with torch.autocast(device.type, DTYPES[dtype], enabled=dtype != "float32"):
                    restored = model(frames).restored
                (restored.float() - frames[:, 0]).square().mean().backward()
                optimizer.step()

            return step

        yield f"training step, {dtype}", prepare


def frames(device: torch.device, tiny: bool) -> Iterator[Measurement]:
    """Single frames: eager in every type and size; at 720p compiled and as a CUDA graph, too."""
    sizes = {"64x128": (64, 128)} if tiny else SIZES
    ways = ["eager"] + (["compiled", "CUDA graph"] if device.type == "cuda" else [])
    for place, (name, size) in enumerate(sizes.items()):
        for way in ways if place == 0 else ways[:1]:
            for dtype in DTYPES:

                def prepare(
                    way: str = way, dtype: str = dtype, size: tuple[int, int] = size
                ) -> Callable[[], object]:
                    model = network(tiny).to(device).eval()
                    run = torch.compile(model) if way == "compiled" else model
                    pair = torch.rand(1, 2, 3, *size, device=device)

                    @torch.no_grad()
                    def restore() -> object:
                        with torch.autocast(device.type, DTYPES[dtype], dtype != "float32"):
                            return run(pair).restored

                    return captured(restore) if way == "CUDA graph" else restore

                yield f"{name} frame, {way}, {dtype}", prepare


def measure(run: Callable[[], object], device: torch.device, repetitions: int) -> tuple[float, str]:
    """Return the mean time of a call and the peak memory of the device."""
    cuda = device.type == "cuda"
    run()
    if cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repetitions):
        run()
    if cuda:
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / repetitions
    return seconds, f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MiB" if cuda else ""


def main() -> None:
    """Write the table anew after each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("training", "frames"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    lines = [f"{describe_device(device)}.", "", "| what | ms | a second | peak memory |",
             "|---|---:|---:|---:|"]  # fmt: skip
    plan = training if arguments.what == "training" else frames
    for name, prepare in plan(device, arguments.tiny):
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            seconds, memory = measure(prepare(), device, 1 if arguments.tiny else 20)
            lines.append(f"| {name} | {1e3 * seconds:.1f} | {1 / seconds:.2f} | {memory} |")
        except Exception as error:  # one failure must not cost the other measurements
            lines.append(f"| {name} | {type(error).__name__}: {str(error).splitlines()[0]} | | |")
        print(lines[-1], flush=True)
        arguments.out.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
