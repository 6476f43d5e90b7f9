"""The spatially variant RNN (Eq. 13 of the paper) as one differentiable operator.

For each of four directions d along a line, per channel and pixel,

    h_t = (1 - w_t) f_t + w_t h_{t-1},    h_{-1} = 0,

a first-order recursive filter whose pole w_t is another one at every pixel: a learned deconvolution without
parameters of its own. It is registered with PyTorch as ``flowdeblur::spatially_variant_rnn``: one name on CPU and
CUDA, opaque to ``torch.compile`` and a single node in ``torch.export``.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from flowdeblur.errors import UserError

from . import _cpu

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

_FORWARD = "flowdeblur::spatially_variant_rnn"
_BACKWARD = "flowdeblur::spatially_variant_rnn_backward"
torch.library.define(_FORWARD, "(Tensor features, Tensor weights, bool tanh) -> Tensor")
torch.library.define(
    _BACKWARD,
    "(Tensor features, Tensor weights, Tensor states, Tensor grad, bool tanh) -> (Tensor, Tensor)",
)
_forward_op = torch.ops.flowdeblur.spatially_variant_rnn.default
_backward_op = torch.ops.flowdeblur.spatially_variant_rnn_backward.default


def spatially_variant_rnn(features: Tensor, weights: Tensor, *, tanh: bool = False) -> Tensor:
    """Filter features along four directions with weights that vary from pixel to pixel.

    Computes h_t = (1 - w_t) f_t + w_t h_{t-1} with h_{-1} = 0 along every row and column. All four directions read the
    same features; w = 0 copies them and w = 1 keeps the state, 0 at the border.

    States are carried in float32 (float64 for float64 tensors) whatever the tensors' type; under autocast nothing is
    cast, so the type of the two inputs, which must agree, decides the memory traffic. Any strides are accepted. The
    result is channels_last where ``weights`` is channels_last and not contiguous, else contiguous; the gradients have
    the same layout. On CPU and CUDA repeated calls give the same bits.

    Args:
        features: (B, C, H, W), float16, bfloat16, float32 or float64 (float64 on CPU alone).
        weights: (B, 4C, H, W), C channels each for left>right, right>left, top>bottom and bottom>top, within [-1, 1]:
            outside, a line's states can grow without bound.
        tanh: take the hyperbolic tangent of ``weights`` on the fly, which saves a pass over them.

    Returns:
        (B, 4C, H, W), the states of the four directions in the order of ``weights``.

    Raises:
        ValueError: the tensors do not belong together.
        UserError: the tensors are on a GPU and Triton is not installed.

    Example:
        >>> features = torch.ones(1, 1, 1, 3)
        >>> weights = torch.full((1, 4, 1, 3), 0.5)
        >>> spatially_variant_rnn(features, weights)[0, :2, 0].tolist()
        [[0.5, 0.75, 0.875], [0.875, 0.75, 0.5]]
    """
    _check(features, weights)
    return _SpatiallyVariantRNN.apply(features, weights, tanh)


def _check(features: Tensor, weights: Tensor) -> None:
    if features.ndim != 4 or weights.ndim != 4:
        raise ValueError(
            f"features must be (B, C, H, W) and weights (B, 4C, H, W), "
            f"got {tuple(features.shape)} and {tuple(weights.shape)}"
        )
    batch, channels, height, width = features.shape
    if weights.shape != (batch, 4 * channels, height, width):
        raise ValueError(
            f"weights must be (B, 4C, H, W) = {(batch, 4 * channels, height, width)} for features "
            f"{tuple(features.shape)}, got {tuple(weights.shape)}"
        )
    if features.dtype not in _DTYPES or weights.dtype != features.dtype:
        raise ValueError(
            f"features and weights must have one type of float16, bfloat16, float32 and float64, "
            f"got {features.dtype} and {weights.dtype}"
        )
    if weights.device != features.device:
        raise ValueError(
            f"features and weights must be on one device, got {features.device} and {weights.device}"
        )


class _SpatiallyVariantRNN(torch.autograd.Function):
    @staticmethod
    def forward(features: Tensor, weights: Tensor, tanh: bool) -> Tensor:
        return _forward_op(features, weights, tanh)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        features, weights, ctx.tanh = inputs
        ctx.save_for_backward(features, weights, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return (*_Gradients.apply(*ctx.saved_tensors, grad, ctx.tanh), None)

    @staticmethod
    def vmap(*_: Any) -> NoReturn:
        raise RuntimeError(
            "spatially_variant_rnn has a batch dimension of its own: fold the dimension that "
            "torch.func.vmap maps over into B"
        )


class _Gradients(torch.autograd.Function):
    """The backward pass as a function of its own, so that a second derivative has an error to meet."""

    @staticmethod
    def forward(
        features: Tensor, weights: Tensor, states: Tensor, grad: Tensor, tanh: bool
    ) -> tuple[Tensor, Tensor]:
        return _backward_op(features, weights, states, grad, tanh)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        pass

    @staticmethod
    def backward(*_: Any) -> NoReturn:
        raise RuntimeError(
            "spatially_variant_rnn is differentiable once: for second derivatives call "
            "flowdeblur.ops.spatially_variant_rnn_reference"
        )


def _layout(weights: Tensor) -> torch.memory_format:
    """Return the layout of every result: a rule of the arguments alone, so that all devices agree."""
    if weights.is_contiguous() or not weights.is_contiguous(memory_format=torch.channels_last):
        return torch.contiguous_format
    return torch.channels_last


def _forward(kernels: ModuleType, features: Tensor, weights: Tensor, tanh: bool) -> Tensor:
    states = torch.empty_like(weights, memory_format=_layout(weights))
    if states.numel():
        kernels.forward(features, weights, tanh, states)
    return states


def _backward(
    kernels: ModuleType,
    features: Tensor,
    weights: Tensor,
    states: Tensor,
    grad: Tensor,
    tanh: bool,
) -> tuple[Tensor, Tensor]:
    layout = _layout(weights)
    grad_features = torch.empty_like(features, memory_format=layout)
    grad_weights = torch.empty_like(weights, memory_format=layout)
    if grad_weights.numel():
        kernels.backward(features, weights, states, grad, tanh, grad_features, grad_weights)
    return grad_features, grad_weights


def _cuda_kernels() -> ModuleType:
    """Import the Triton kernels, which nothing but a CUDA tensor needs."""
    try:
        from . import _triton
    except ModuleNotFoundError as error:
        if error.name != "triton":
            raise
        raise UserError(
            "tensors on a GPU need Triton: `pip install triton` (Linux), or compute on the CPU, "
            "or call flowdeblur.ops.spatially_variant_rnn_reference"
        ) from error
    return _triton


@torch.library.register_fake("flowdeblur::spatially_variant_rnn")
def _fake_forward(features: Tensor, weights: Tensor, tanh: bool) -> Tensor:
    return torch.empty_like(weights, memory_format=_layout(weights))


@torch.library.register_fake("flowdeblur::spatially_variant_rnn_backward")
def _fake_backward(
    features: Tensor, weights: Tensor, states: Tensor, grad: Tensor, tanh: bool
) -> tuple[Tensor, Tensor]:
    layout = _layout(weights)
    return (
        torch.empty_like(features, memory_format=layout),
        torch.empty_like(weights, memory_format=layout),
    )


torch.library.impl(_FORWARD, "CPU", lambda *tensors: _forward(_cpu, *tensors))
torch.library.impl(_FORWARD, "CUDA", lambda *tensors: _forward(_cuda_kernels(), *tensors))
torch.library.impl(_BACKWARD, "CPU", lambda *tensors: _backward(_cpu, *tensors))
torch.library.impl(_BACKWARD, "CUDA", lambda *tensors: _backward(_cuda_kernels(), *tensors))


@register_flop_formula(torch.ops.flowdeblur.spatially_variant_rnn)
def _forward_flops(features: Any, weights: Any, *_: Any, **__: Any) -> int:
    """Count h = f + w (h - f): 3 for each element of the result."""
    return 3 * math.prod(weights)


@register_flop_formula(torch.ops.flowdeblur.spatially_variant_rnn_backward)
def _backward_flops(features: Any, weights: Any, *_: Any, **__: Any) -> int:
    """Count the states again (3), the adjoint (2), the product for w (1) and the sum for f (2)."""
    return 8 * math.prod(weights)
