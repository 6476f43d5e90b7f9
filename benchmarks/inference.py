"""Ways to restore a frame on a CPU, measured in turn in one process; see docs/performance.md.

``python -m benchmarks.inference [NAME WIDTH HEIGHT ROUNDS]`` prints the median processor time of a
frame, which other programs on the machine disturb less than wall time, and how many times as fast
it is as the first way of the same precision. Run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import runtimes
from flowdeblur import weights
from flowdeblur.networks.inference import compiled, infer, prepare
from flowdeblur.types import Network
from flowdeblur.weights.export import export
from flowdeblur.weights.restorer import PlanesRestorer


def main(name: str = "default", width: int = 1280, height: int = 720, rounds: int = 3) -> None:
    """Measure and print."""
    source = weights.locate(name)
    frames = torch.rand(1, 2, 3, height, width, generator=torch.Generator().manual_seed(0))
    contiguous = weights.load(source).eval()
    last = prepare(weights.load(source), torch.device("cpu"))
    matrices = torch.rand(1024, 1024)
    runs: dict[str, Callable[[], object]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        precision = str(dtype).removeprefix("torch.")
        runs[f"PyTorch, plain, {precision}"] = lambda d=dtype: _plain(contiguous, frames, d)
        for label, network in (("channels_last", last), ("compiled", compiled(last))):
            runs[f"PyTorch, {label}, {precision}"] = lambda n=network, d=dtype: infer(
                n, frames, dtype=d
            )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(source, path, layout=PlanesRestorer)
        planes = frames.flatten(1, 2).numpy()
        for runtime in (runtimes.onnxruntime, runtimes.openvino):
            run = runtime(path, planes.shape)
            runs[f"{runtime.__name__}, float32"] = lambda run=run: run(planes)
    runs["matrix product of 1024, a GFLOP"] = lambda: [matrices @ matrices for _ in range(10)]
    times: dict[str, list[float]] = {label: [] for label in runs}
    for number in range(rounds + 1):
        for label, run in runs.items():
            start = time.process_time()
            run()
            if number:  # the first is a warm-up
                times[label].append(time.process_time() - start)
    medians = {label: statistics.median(each) for label, each in times.items()}
    medians["matrix product of 1024, a GFLOP"] /= 10 * 2 * 1.024**3
    threads = torch.get_num_threads()
    print(f"weights {name}, {width}x{height}, {threads} thread(s), median of {rounds} in turn\n")
    print("| way | processor s | times as fast |\n|---|---:|---:|")
    for label, seconds in medians.items():
        first = medians.get(f"PyTorch, plain, {label.rpartition(', ')[2]}")
        print(f"| {label} | {seconds:.4f} | {f'{first / seconds:.2f}' if first else ''} |")


def _plain(network: Network, frames: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Contiguous tensors, and activations not in place: PyTorch without what this project does."""
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        return network(frames, keep_rnn_weights=False).restored


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
