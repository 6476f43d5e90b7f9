"""Blind motion deblurring by conditional adversarial networks: DeblurGAN (Kupyn et al., CVPR 2018).

The generator only. The adversarial recipe (critic, VGG features) is not part of this suite.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flowdeblur.networks.initialization import layers
from flowdeblur.networks.peers.peer import Peer
from flowdeblur.types import Restoration


class DeblurGAN(Peer):
    """The generator: nine residual blocks at 1/4, instance norm, global residual, tanh.

    Instance norm sees the whole image, so that tiles and padding change every pixel. Dropout acts
    in training only; the original leaves it on in tests.

    Args:
        width: channels of the first layer; 64 in the paper.
        blocks: residual blocks; 9 in the paper.
        padding: see :class:`Peer`.
    """

    stride = 4
    smallest = 8

    def __init__(self, *, width: int = 64, blocks: int = 9, padding: str = "replicate") -> None:
        super().__init__(padding=padding)
        w = width
        self.model = nn.Sequential(
            *_normalized(_reflecting(3, w, 7)),
            *_normalized(nn.Conv2d(w, 2 * w, 3, stride=2, padding=1)),
            *_normalized(nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1)),
            *(Block(4 * w) for _ in range(blocks)),
            *_normalized(_transposed(4 * w, 2 * w)),
            *_normalized(_transposed(2 * w, w)),
            _reflecting(w, 3, 7),
        )

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`."""
        scaled = 2 * frames[:, 0] - 1
        output = (torch.tanh(self.model(scaled)) + scaled).clamp(-1, 1)
        return Restoration((output + 1) / 2)

    def initialize(self, generator: torch.Generator) -> None:
        """Normal weights of standard deviation 0.02, zero biases."""
        for _, layer in layers(self):
            nn.init.normal_(layer.weight, 0, 0.02, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


class Block(nn.Module):
    """x + [C3, IN, ReLU, dropout, C3, IN], reflect-padded."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_normalized(_reflecting(channels, channels, 3)),
            nn.Dropout(0.5),
            _reflecting(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        body: Tensor = self.body(x)
        return x + body


def _normalized(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    return layer, nn.InstanceNorm2d(layer.out_channels), nn.ReLU(inplace=True)


def _reflecting(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="reflect")


def _transposed(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
