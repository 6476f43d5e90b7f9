"""Networks as ONNX models."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from flowdeblur.extras import import_extra
from flowdeblur.weights.restorer import Restorer

SUFFIX = ".onnx"


def write(restorer: Restorer, path: Path, facts: Mapping[str, str]) -> None:
    """Write a model with the input ``frames`` and the output ``restored``.

    Args:
        restorer: the network.
        path: the file, which gets everything, weights included.
        facts: what the file should say of itself, as the model's metadata.

    Raises:
        UserError: the libraries of the extra ``export`` are not installed.
    """
    for library in ("onnx", "onnxruntime", "onnxscript"):  # before minutes of work
        import_extra(library, "export")
    from flowdeblur.weights.scan import spatially_variant_rnn

    # The exporter says at length which operators of torchvision it cannot translate.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx = torch.onnx.export(
            restorer.trace(),
            input_names=["frames"],
            output_names=["restored"],
            opset_version=18,
            custom_translation_table={
                torch.ops.flowdeblur.spatially_variant_rnn.default: spatially_variant_rnn
            },
            dynamo=True,
            verbose=False,
        )
    assert onnx is not None
    ir = import_extra("onnx_ir", "export")
    (frames,), (restored,) = onnx.model.graph.inputs, onnx.model.graph.outputs
    frames.shape = ir.Shape(["batch", restorer.frames, 3, "height", "width"])
    restored.shape = ir.Shape(["batch", 3, "height", "width"])
    onnx.model.metadata_props.update(facts)
    onnx.save(path, external_data=False)


def open_restorer(path: Path) -> Callable[[Tensor], Tensor]:
    """Return what a model computes in ONNX Runtime on the CPU, with PyTorch's number of threads."""
    runtime = import_extra("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def restore(frames: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["restored"], {"frames": frames.numpy()})[0])

    return restore
