"""The CPU kernel in C++ for channels_last tensors, compiled on demand.

Where no compiler is found, or it fails, ``library()`` is None and the kernel of ``_cpu`` runs.
``FLOWDEBLUR_NATIVE=0`` switches the compiled kernel off.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_suffix(".cpp")
_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
_TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def handles(features: Tensor, weights: Tensor) -> bool:
    """Whether the compiled kernel takes these inputs: channels_last, float32 or bfloat16."""
    return (
        weights.dtype in _TYPES
        and weights.is_contiguous(memory_format=torch.channels_last)
        and not weights.is_contiguous()
        and library() is not None
    )


def forward(features: Tensor, weights: Tensor, tanh: bool, out: Tensor) -> None:
    """Write the four directions' states of (B, C, H, W) features into ``out`` (B, 4C, H, W)."""
    features = features.contiguous(memory_format=torch.channels_last)
    _call("forward", features, [features, weights, out], tanh)


def backward(
    features: Tensor,
    weights: Tensor,
    states: Tensor,
    grad: Tensor,
    tanh: bool,
    grad_features: Tensor,
    grad_weights: Tensor,
) -> None:
    """Write the gradients into ``grad_features`` and ``grad_weights``; ``states`` are not read."""
    features, grad = (x.contiguous(memory_format=torch.channels_last) for x in (features, grad))
    total = grad_features if grad_features.dtype == torch.float32 else grad_features.float()
    total.zero_()
    _call("backward", features, [features, weights, grad, total, grad_weights], tanh)
    if total is not grad_features:
        grad_features.copy_(total)


def _call(name: str, features: Tensor, tensors: list[Tensor], tanh: bool) -> None:
    kernels = library()
    assert kernels is not None
    function = getattr(kernels, f"{name}_{_TYPES[features.dtype]}")
    pointers = [ctypes.c_void_p(each.data_ptr()) for each in tensors]
    sizes = [ctypes.c_int64(size) for size in features.shape]
    function(*pointers, *sizes, ctypes.c_int(tanh), ctypes.c_int(torch.get_num_threads()))


@functools.cache
def library() -> ctypes.CDLL | None:
    """Compile the kernel once for this processor, and load it; None where that is impossible."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or os.environ.get("FLOWDEBLUR_NATIVE") == "0":
        return None
    openmp = ("-fopenmp",) if platform.system() == "Linux" else ()
    identity = [_SOURCE.read_text(), *_FLAGS, *openmp, compiler, _processor()]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]
    target = Path("~/.cache/flowdeblur/ops").expanduser() / f"rnn-{digest}.so"
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                built = Path(folder) / target.name
                command = [compiler, *_FLAGS, *openmp, "-std=c++17", "-shared", "-fPIC"]
                subprocess.run(
                    [*command, str(_SOURCE), "-o", str(built)], check=True, capture_output=True
                )
                built.replace(target)
        return ctypes.CDLL(str(target))
    except (OSError, subprocess.CalledProcessError) as error:
        log.debug("the CPU kernel could not be compiled (%s); a slower one is used", error)
        return None


def _processor() -> str:
    """What -march=native depends on: a home folder may serve machines with unlike processors."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((each for each in lines if each.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {flags}"
