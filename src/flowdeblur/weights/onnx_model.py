"""Networks as ONNX models."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from flowdeblur.extras import import_extra
from flowdeblur.weights.restorer import Restorer

SUFFIX = ".onnx"

RECURRENCES = ("scan", "doubling")
"""How the RNN is written: modules of this package with a function ``spatially_variant_rnn``."""


def write(
    restorer: Restorer, path: Path, facts: Mapping[str, str], *, recurrence: str = "scan"
) -> None:
    """Write a model; its input and output have the names of the restorer.

    Args:
        restorer: the network.
        path: the file, which gets everything, weights included.
        facts: what the file should say of itself, as the model's metadata.
        recurrence: one of ``RECURRENCES``.

    Raises:
        UserError: the libraries of the extra ``export`` are not installed.
    """
    for library in ("onnx", "onnxruntime", "onnxscript"):  # before minutes of work
        import_extra(library, "export")
    translation = importlib.import_module(f"flowdeblur.weights.{recurrence}").spatially_variant_rnn

    # The exporter says at length which operators of torchvision it cannot translate.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx = torch.onnx.export(
            restorer.trace(),
            input_names=[restorer.input],
            output_names=[restorer.output],
            opset_version=18,
            custom_translation_table={
                torch.ops.flowdeblur.spatially_variant_rnn.default: translation
            },
            dynamo=True,
            optimize=recurrence == "scan",
            verbose=False,
        )
    assert onnx is not None
    if recurrence != "scan":  # hundreds of nodes, on which all rules of the optimizer take minutes
        import_extra("onnxscript.optimizer", "export").optimize_ir(onnx.model, num_iterations=1)
    ir = import_extra("onnx_ir", "export")
    (frames,), (restored,) = onnx.model.graph.inputs, onnx.model.graph.outputs
    shape: list[int | str] = list(restorer.pack(torch.empty(1, restorer.frames, 3, 1, 1)).shape)
    for axis, name in restorer.open_sizes.items():
        shape[axis] = name
    frames.shape = ir.Shape(shape)
    restored.shape = ir.Shape([shape[0], 3, *shape[-2:]])
    for node in onnx.model.graph:
        node.metadata_props.clear()  # a megabyte about the Python code that was traced
    onnx.model.metadata_props.update(facts)
    onnx.save(path, external_data=False)


def open_restorer(path: Path) -> Callable[[Tensor], Tensor]:
    """Return what a model computes in ONNX Runtime on the CPU, with PyTorch's number of threads."""
    runtime = import_extra("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (frames,) = session.get_inputs()

    def restore(inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {frames.name: inputs.numpy()})[0])

    return restore
