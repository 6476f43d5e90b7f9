"""The specification of the spatially variant RNN: a plain loop that autograd differentiates.

Slow, exact and made of ordinary tensor operations, so that it can be differentiated twice, traced
and exported step by step. The kernels are tested against it in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

# left>right, right>left, top>bottom, bottom>top: the dimension of the line, walked from its end?
DIRECTIONS = ((3, False), (3, True), (2, False), (2, True))


def spatially_variant_rnn_reference(
    features: Tensor, weights: Tensor, *, tanh: bool = False
) -> Tensor:
    """Run the recurrence of :func:`flowdeblur.ops.spatially_variant_rnn` step by step.

    Args:
        features: (B, C, H, W), any floating type. Half types are computed in float32.
        weights: (B, 4C, H, W), C channels for each of the four directions.
        tanh: take the hyperbolic tangent of ``weights`` first.

    Returns:
        (B, 4C, H, W) in the type of ``features``.

    Example:
        >>> features, weights = torch.ones(1, 1, 1, 3), torch.full((1, 4, 1, 3), 0.5)
        >>> spatially_variant_rnn_reference(features, weights)[0, 0, 0].tolist()
        [0.5, 0.75, 0.875]
    """
    f = features.to(state_dtype(features.dtype))
    w = weights.to(f.dtype)
    if tanh:
        w = w.tanh()
    results = []
    for w_map, (dim, from_end) in zip(w.chunk(4, dim=1), DIRECTIONS, strict=True):
        h = torch.zeros(())
        states = []
        steps = list(zip(f.unbind(dim), w_map.unbind(dim), strict=True))
        for f_t, w_t in reversed(steps) if from_end else steps:
            h = (1 - w_t) * f_t + w_t * h
            states.append(h)
        results.append(torch.stack(states[::-1] if from_end else states, dim) if states else w_map)
    return torch.cat(results, dim=1).to(features.dtype)


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which states are carried: float32, or float64 for float64 tensors."""
    return torch.float64 if dtype == torch.float64 else torch.float32
