"""FLOPs of the operators for ``torch.utils.flop_counter``. Importing this module registers them.

It stands apart because PyTorch's counter imports Triton, which importing the operators must not.

Example:
    >>> from flowdeblur.ops import spatially_variant_rnn
    >>> import flowdeblur.ops.flops
    >>> from torch.utils.flop_counter import FlopCounterMode
    >>> with FlopCounterMode(display=False) as counter:
    ...     _ = spatially_variant_rnn(torch.ones(1, 1, 2, 2), torch.zeros(1, 4, 2, 2))
    >>> counter.get_total_flops()
    48
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

import flowdeblur.ops.spatially_variant_rnn  # noqa: F401  defines the operators


@register_flop_formula(torch.ops.flowdeblur.spatially_variant_rnn)
def forward_flops(features: Sequence[int], weights: Sequence[int], *_: Any, **__: Any) -> int:
    """Count f + w (h - f), 3 for each element of the result. A tanh is not counted.

    Args:
        features: shape (B, C, H, W).
        weights: shape (B, 4C, H, W).
    """
    return 3 * math.prod(weights)


@register_flop_formula(torch.ops.flowdeblur.spatially_variant_rnn_backward)
def backward_flops(features: Sequence[int], weights: Sequence[int], *_: Any, **__: Any) -> int:
    """Count the states again (3), their gradient (2), that of w (1) and the sum for f (2).

    Args:
        features: shape (B, C, H, W).
        weights: shape (B, 4C, H, W).
    """
    return 8 * math.prod(weights)
