"""How features of the deblurring subnet meet what the flow subnet has learnt.

This is what Table IV exchanges. A coupling takes features (B, C, h, w) and a guide (B, G, h, w) of
the same scale and returns features of ``expansion`` times as many channels, with the logits of the
RNN weights where it has some.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv
from flowdeblur.ops import spatially_variant_rnn


class Coupling(nn.Module):
    """Base of all couplings.

    Args:
        channels: C, channels of the features.
        guide_channels: G, channels of the guide; None where there is no flow subnet.
    """

    expansion: ClassVar[int]

    def __init__(self, channels: int, guide_channels: int | None) -> None:
        super().__init__()

    def forward(self, features: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Couple ``features`` (B, C, h, w) with ``guide`` (B, G, h, w).

        Returns:
            (B, ``expansion`` C, h, w), and the RNN weights before their tanh, (B, 4 C, h, w), or
            None.
        """
        raise NotImplementedError


class SpatiallyVariantRNN(Coupling):
    """The paper's coupling (Eq. 13).

    The guide decides, pixel by pixel, how four RNNs sweep the features.
    """

    expansion = 4

    def __init__(self, channels: int, guide_channels: int) -> None:
        super().__init__(channels, guide_channels)
        self.rnnw = conv(guide_channels, 4 * channels, 3)

    def forward(self, features: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Sweep the features in four directions with weights tanh(rnnw(guide))."""
        logits = self.rnnw(guide)
        return spatially_variant_rnn(features, logits, tanh=True), logits


class Concatenation(Coupling):
    """Table IV, "concat RNN weights".

    3 C predicted channels stand beside the features, 4 C in all.
    """

    expansion = 4

    def __init__(self, channels: int, guide_channels: int) -> None:
        super().__init__(channels, guide_channels)
        self.rnnw = conv(guide_channels, 3 * channels, 3)

    def forward(self, features: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Concatenate the features with tanh(rnnw(guide))."""
        return torch.cat((features, torch.tanh(self.rnnw(guide))), dim=1), None


class Uncoupled(Coupling):
    """Table IV, "w/o RNNs": the features pass unchanged."""

    expansion = 1

    def forward(self, features: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features."""
        return features, None
