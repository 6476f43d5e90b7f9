"""Penalty of RNN weights that saturate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


class Saturation:
    """Keep the RNN weights w = tanh(z) away from 1 and -1.

    An RNN is h_t = (1 - w_t) f_t + w_t h_(t-1). At w = 1 nothing of the features f passes, and w
    cannot come back, since the gradient of the tanh vanishes; at w = -1 it oscillates without
    damping. The penalty is the mean square of what |z| exceeds, so that its own gradient does not
    vanish. The paper has no such term.

    Args:
        limit: |w| that is free, below 1; at 0.9 a state keeps a tenth of itself after 22 pixels of
            its scale.
        weight: of this term, per scale.
    """

    def __init__(self, limit: float = 0.9, weight: float = 1.0) -> None:
        self.free, self.weight = math.atanh(limit), weight

    def __call__(self, rnn_weights: Sequence[Tensor]) -> Tensor:
        """Mean over channels, directions and pixels, summed over scales.

        Args:
            rnn_weights: each (B, 4 C, h, w) in [-1, 1].

        Returns:
            (B,)
        """
        total = rnn_weights[0].new_zeros(len(rnn_weights[0]))
        for each in rnn_weights:
            logits = each.abs().clamp(max=LARGEST).atanh()
            total = total + (logits - self.free).relu().square().mean((1, 2, 3))
        return self.weight * total


LARGEST = 1 - 1e-7
"""The largest |w| whose logit float32 still knows (8.3)."""
