"""The float64 oracle of the operator's tests, and their inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from flowdeblur.ops import spatially_variant_rnn_reference

# Allowed RMS error over RMS value: float32 sums, and for the half types one rounding of the result
# (0.85 of 2^-9 or 2^-12), with room for what the rounded states before a block add to the gradient
# of the weights (1.11 where |w| is 0.99).
TOLERANCE = {
    torch.float64: 1e-14,
    torch.float32: 1e-6,
    torch.bfloat16: 1.2 * 2**-9,
    torch.float16: 1.2 * 2**-12,
}


def make_inputs(
    *shape: int,
    dtype: torch.dtype = torch.float32,
    weight: float | None = None,
    device: str = "cpu",
) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (B, C, H, W), weights (B, 4C, H, W) and a gradient of the states.

    The weights are uniform in (-1, 1), or ``weight`` with random signs.
    """
    batch, channels, height, width = shape
    generator = torch.Generator().manual_seed(sum(shape))
    features = torch.randn(shape, generator=generator)
    maps = (batch, 4 * channels, height, width)
    weights = 2 * torch.rand(maps, generator=generator) - 1
    if weight is not None:
        weights = weight * weights.sign()
    grad = torch.randn(maps, generator=generator)
    return tuple(x.to(device, dtype) for x in (features, weights, grad))


def oracle(
    features: Tensor, weights: Tensor, grad: Tensor, *, tanh: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return states, gradient of the features and gradient of the weights, all in float64."""
    f, w = (x.detach().cpu().double().requires_grad_() for x in (features, weights))
    states = spatially_variant_rnn_reference(f, w, tanh=tanh)
    return (states.detach(), *torch.autograd.grad(states, (f, w), grad.cpu().double()))


def error(actual: Tensor, expected: Tensor) -> float:
    """Return the RMS error over the RMS of the expected values."""
    difference = actual.detach().cpu().double() - expected
    return (difference.norm() / expected.norm().clamp_min(1e-30)).item()


def assert_matches_oracle(operator, features, weights, grad, *, tanh, slack=1.0):
    """Compare values and both gradients of ``operator(features, weights, tanh=...)``."""
    f, w = (x.detach().requires_grad_() for x in (features, weights))
    states = operator(f, w, tanh=tanh)
    actual = (states, *torch.autograd.grad(states, (f, w), grad))
    expected = oracle(features, weights, grad, tanh=tanh)
    for name, ours, truth in zip(("states", "grad f", "grad w"), actual, expected, strict=True):
        assert ours.shape == truth.shape
        assert ours.dtype == features.dtype
        assert error(ours, truth) <= slack * TOLERANCE[features.dtype], name
