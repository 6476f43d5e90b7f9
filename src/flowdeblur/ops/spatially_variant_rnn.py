"""The spatially variant RNN (Eq. 13 of the paper) as one differentiable operator.

For each of four directions along a line, per channel and pixel,

    h_t = (1 - w_t) f_t + w_t h_{t-1},    h_{-1} = 0,

a recursive filter of first order whose pole w_t differs from pixel to pixel: a learned
deconvolution without parameters of its own. PyTorch knows it as
``flowdeblur::spatially_variant_rnn``: one name on CPU and CUDA, opaque to ``torch.compile`` and one
node in ``torch.export``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import torch
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.ops import _cpu, _native

_FORWARD = "flowdeblur::spatially_variant_rnn"
_BACKWARD = "flowdeblur::spatially_variant_rnn_backward"
torch.library.define(_FORWARD, "(Tensor features, Tensor weights, bool tanh) -> Tensor")
torch.library.define(
    _BACKWARD,
    "(Tensor features, Tensor weights, Tensor states, Tensor grad, bool tanh) -> (Tensor, Tensor)",
)

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def spatially_variant_rnn(features: Tensor, weights: Tensor, *, tanh: bool = False) -> Tensor:
    """Filter features along four directions with weights that vary from pixel to pixel.

    Computes h_t = (1 - w_t) f_t + w_t h_{t-1}, h_{-1} = 0, along every row and column in both
    senses. All directions read the same features; w = 0 copies them, w = 1 keeps the state before.

    Type: states are carried in float32 (float64 for float64 tensors), results have the type of the
    inputs, which must agree. Nothing is cast under autocast.

    Layout: any strides are accepted. Results and gradients are channels_last where ``weights`` is,
    else contiguous.

    Repeated calls give the same bits. Differentiable once; see
    :func:`spatially_variant_rnn_reference` for higher derivatives.

    Args:
        features: (B, C, H, W), float16, bfloat16, float32 or float64.
        weights: (B, 4C, H, W), C channels each for left>right, right>left, top>bottom and
            bottom>top, in [-1, 1]; beyond, states can grow exponentially along a line.
        tanh: take the hyperbolic tangent of ``weights`` on the fly, which saves passes over memory.

    Returns:
        (B, 4C, H, W), the states of the four directions in the order of ``weights``.

    Raises:
        ValueError: shapes, types or devices do not belong together.
        UserError: the tensors are on a GPU and Triton is not installed.

    Example:
        >>> features = torch.ones(1, 1, 1, 3)
        >>> weights = torch.full((1, 4, 1, 3), 0.5)
        >>> spatially_variant_rnn(features, weights)[0, :2, 0].tolist()
        [[0.5, 0.75, 0.875], [0.875, 0.75, 0.5]]
    """
    _check(features, weights)
    states: Tensor = _SpatiallyVariantRNN.apply(features, weights, tanh)  # type: ignore[no-untyped-call]
    return states


def _check(features: Tensor, weights: Tensor) -> None:
    shapes = f"features {tuple(features.shape)} and weights {tuple(weights.shape)}"
    if features.ndim != 4 or weights.ndim != 4:
        raise ValueError(f"expected features (B, C, H, W) and weights (B, 4C, H, W), got {shapes}")
    batch, channels, height, width = features.shape
    if weights.shape != (batch, 4 * channels, height, width):
        raise ValueError(
            f"expected weights (B, 4C, H, W) = {(batch, 4 * channels, height, width)}, got {shapes}"
        )
    if features.dtype not in _DTYPES or weights.dtype != features.dtype:
        raise ValueError(
            f"expected features and weights of one type, float16, bfloat16, float32 or float64, "
            f"got features {features.dtype} and weights {weights.dtype}"
        )
    if weights.device != features.device:
        raise ValueError(
            f"expected features and weights on one device, "
            f"got features on {features.device} and weights on {weights.device}"
        )


class _SpatiallyVariantRNN(torch.autograd.Function):
    @staticmethod
    def forward(features: Tensor, weights: Tensor, tanh: bool) -> Tensor:
        states: Tensor = torch.ops.flowdeblur.spatially_variant_rnn(features, weights, tanh)
        return states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        features, weights, ctx.tanh = inputs
        ctx.save_for_backward(features, weights, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grads = _Gradients.apply(*ctx.saved_tensors, grad, ctx.tanh)  # type: ignore[no-untyped-call]
        return (*grads, None)

    @staticmethod
    def vmap(*_: Any) -> NoReturn:
        raise RuntimeError(
            "spatially_variant_rnn has a batch dimension of its own: fold the dimension that "
            "torch.func.vmap maps over into B"
        )


class _Gradients(torch.autograd.Function):
    """The backward pass, a function of its own so that a second derivative meets an error."""

    @staticmethod
    def forward(
        features: Tensor, weights: Tensor, states: Tensor, grad: Tensor, tanh: bool
    ) -> tuple[Tensor, Tensor]:
        grads: tuple[Tensor, Tensor] = torch.ops.flowdeblur.spatially_variant_rnn_backward(
            features, weights, states, grad, tanh
        )
        return grads

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
    """Return the layout of all results: it depends on the arguments only, so that devices agree."""
    channels_last = weights.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


def _empty_states(features: Tensor, weights: Tensor, tanh: bool) -> Tensor:
    return torch.empty_like(weights, memory_format=_layout(weights))


def _empty_gradients(
    features: Tensor, weights: Tensor, states: Tensor, grad: Tensor, tanh: bool
) -> tuple[Tensor, Tensor]:
    layout = _layout(weights)
    return (
        torch.empty_like(features, memory_format=layout),
        torch.empty_like(weights, memory_format=layout),
    )


def _cpu_kernels(features: Tensor, weights: Tensor) -> ModuleType:
    """Choose the compiled kernel where it applies."""
    return _native if _native.handles(features, weights) else _cpu


def _cuda_kernels() -> ModuleType:
    """Import the Triton kernels, which nothing but a tensor on a GPU needs."""
    try:
        from flowdeblur.ops import _cuda
    except ModuleNotFoundError as error:
        if error.name != "triton":
            raise
        raise UserError(
            "spatially_variant_rnn on a GPU needs Triton: pip install triton (Linux), or move the "
            "tensors to the CPU"
        ) from error
    return _cuda


def _implement(device: str, kernels: Callable[[Tensor, Tensor], ModuleType]) -> None:
    """Register the kernels of one device; they fill the results that are allocated here."""

    def forward(*inputs: Any) -> Tensor:
        states = _empty_states(*inputs)
        if states.numel():
            kernels(*inputs[:2]).forward(*inputs, states)
        return states

    def backward(*inputs: Any) -> tuple[Tensor, Tensor]:
        grads = _empty_gradients(*inputs)
        if grads[0].numel():
            kernels(*inputs[:2]).backward(*inputs, *grads)
        return grads

    torch.library.impl(_FORWARD, device, forward)
    torch.library.impl(_BACKWARD, device, backward)


_implement("CPU", _cpu_kernels)
_implement("CUDA", lambda *_: _cuda_kernels())
# Fake tensors (torch.compile, torch.export) get the same shapes, types and strides.
torch.library.register_fake(_FORWARD, _empty_states)
torch.library.register_fake(_BACKWARD, _empty_gradients)
