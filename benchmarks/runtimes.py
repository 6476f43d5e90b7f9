"""Exported ONNX files in several runtimes: difference from PyTorch, and time of a frame.

``python -m benchmarks.runtimes [WIDTH HEIGHT]`` prints the table of docs/plugins.md. All runtimes
run in this process on PyTorch's number of threads, one after the other, five times; the time is the
median. ncnn reads a file by way of pnnx.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flowdeblur import weights
from flowdeblur.types import Network
from flowdeblur.weights.export import export
from flowdeblur.weights.restorer import PlanesRestorer

Array = NDArray[np.float32]
Run = Callable[[Array], Array]
"""Restores planes (1, 3 T, H, W) to (1, 3, H, W)."""


def onnxruntime(path: Path, shape: tuple[int, ...]) -> Run:
    """ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda planes: session.run(["output"], {"input": planes})[0]


def openvino(path: Path, shape: tuple[int, ...]) -> Run:
    """OpenVINO on the CPU, in float32 (its default is bfloat16 where the CPU has it)."""
    import openvino

    threads = torch.get_num_threads()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    model = openvino.Core().compile_model(path, "CPU", hints)
    return lambda planes: model(planes)[0].copy()


def opencv(path: Path, shape: tuple[int, ...]) -> Run:
    """OpenCV DNN."""
    import cv2

    network = cv2.dnn.readNetFromONNX(str(path))

    def run(planes: Array) -> Array:
        network.setInput(planes, "input")
        return network.forward("output").copy()

    return run


def ncnn(path: Path, shape: tuple[int, ...]) -> Run:
    """Use ncnn with the file that pnnx makes for one size."""
    import ncnn

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.onnx"
        copy.write_bytes(path.read_bytes())
        size = f"inputshape=[{','.join(map(str, shape))}]"
        command = [Path(sys.executable).with_name("pnnx"), copy.name, size, "fp16=0"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        network = ncnn.Net()
        network.opt.num_threads = torch.get_num_threads()
        for each in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(network.opt, f"use_{each}", False)
        failed = network.load_param(str(copy.with_suffix(".ncnn.param")))
        if failed or network.load_model(str(copy.with_suffix(".ncnn.bin"))):
            raise RuntimeError("a layer of the model is unknown")

    def run(planes: Array) -> Array:
        extractor = network.create_extractor()
        extractor.input("in0", ncnn.Mat(planes[0]).clone())
        _, restored = extractor.extract("out0")
        return np.array(restored)[None]

    return run


RUNTIMES = (onnxruntime, openvino, opencv, ncnn)


def pytorch(network: Network) -> Run:
    """PyTorch in float32, the reference."""
    restorer = PlanesRestorer(network)

    @torch.inference_mode()
    def run(planes: Array) -> Array:
        return restorer(torch.from_numpy(planes)).numpy()

    return run


def difference(got: Array, wanted: Array) -> float:
    """Largest difference, as a share of the largest value; infinite for another shape."""
    return (
        float(np.abs(got - wanted).max() / np.abs(wanted).max())
        if (got.shape == wanted.shape)
        else float("inf")
    )


def main(width: int = 640, height: int = 384, name: str = "small") -> None:
    """Export ``name`` in all ways and print the table."""
    source = weights.locate(name)
    reference = pytorch(weights.load(source))
    planes = np.random.default_rng(0).random((1, 6, height, width), np.float32)
    runs: dict[str, Run] = {"PyTorch": reference}
    with tempfile.TemporaryDirectory() as folder:
        for recurrence in ("scan", "doubling"):
            for half in (False, True):
                path = Path(folder) / f"{recurrence}{' half' * half}.onnx"
                export(source, path, half=half, layout=PlanesRestorer, recurrence=recurrence)
                for runtime in RUNTIMES:
                    label = f"{runtime.__name__}, {path.stem}"
                    try:
                        runs[label] = runtime(path, planes.shape)
                        runs[label](planes)
                    except Exception as error:  # whatever a runtime raises
                        runs.pop(label, None)
                        lines = str(error).strip().splitlines() or [type(error).__name__]
                        print(f"{label}: refused: {lines[-1][:160]}", flush=True)
        wanted = reference(planes)
        off = {label: difference(run(planes), wanted) for label, run in runs.items()}
        times: dict[str, list[float]] = {label: [] for label in runs}
        for _ in range(5):
            for label, run in runs.items():
                start = time.perf_counter()
                run(planes)
                times[label].append(time.perf_counter() - start)
    threads = torch.get_num_threads()
    print(f"\nweights {name}, {width}x{height}, {threads} thread(s), float32 in and out\n")
    print("| runtime, file | largest difference | s a frame |\n|---|---:|---:|")
    for label, seconds in times.items():
        print(f"| {label} | {off[label]:.1e} | {statistics.median(seconds):.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
