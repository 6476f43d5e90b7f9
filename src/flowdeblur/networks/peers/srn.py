"""Scale-recurrent network for deep image deblurring: SRN (Tao et al., CVPR 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv, deconv
from flowdeblur.networks.initialization import xavier
from flowdeblur.networks.peers.peer import Peer, ResidualBlock, double, pyramid
from flowdeblur.types import Restoration

SCALES = 3


class SRN(Peer):
    """One encoder-decoder, applied at 1/4, 1/2 and 1 with a recurrent state between the scales.

    This is the RGB version with a 3x3 LSTM; only its version for grey images was released.
    Resizing is antialiased, on the half-pixel grid; strided convolutions pad 2 at every side.

    Args:
        width: channels at full resolution; 32 in the paper.
        padding: see :class:`Peer`.
    """

    stride = 16

    def __init__(self, *, width: int = 32, padding: str = "replicate") -> None:
        super().__init__(padding=padding)
        w = width
        self.e1, self.e2, self.e3 = (
            _encoder(6, w, 1),
            _encoder(w, 2 * w, 2),
            _encoder(2 * w, 4 * w, 2),
        )
        self.lstm = ConvLSTM(4 * w)
        self.d3, self.up3 = _blocks(4 * w), deconv(4 * w, 2 * w)
        self.d2, self.up2 = _blocks(2 * w), deconv(2 * w, w)
        self.d1, self.last = _blocks(w), conv(w, 3, 5)

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`; ``coarse`` are the predictions at 1/4 and 1/2."""
        predictions: list[Tensor] = []
        state: tuple[Tensor, Tensor] | None = None
        for blurred in pyramid(frames[:, 0], SCALES):
            previous = blurred
            if predictions:
                previous = double(predictions[-1].detach())
            if state is not None:
                state = double(state[0]), double(state[1])
            prediction, state = self._scale(torch.cat((blurred, previous), dim=1), state)
            predictions.append(prediction)
        return Restoration(predictions[-1], coarse=tuple(predictions[:-1]))

    def _scale(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        e1 = self.e1(x)
        e2 = self.e2(e1)
        hidden, cell = self.lstm(self.e3(e2), state)
        d3 = F.relu(self.up3(self.d3(hidden))) + e2
        d2 = F.relu(self.up2(self.d2(d3))) + e1
        return self.last(self.d1(d2)), (hidden, cell)

    def initialize(self, generator: torch.Generator) -> None:
        """Xavier uniform, zero biases; the LSTM's weights are a truncated normal of 1e-3."""
        xavier(self, generator)
        nn.init.trunc_normal_(self.lstm.gates.weight, 0, 1e-3, a=-2e-3, b=2e-3, generator=generator)


class ConvLSTM(nn.Module):
    """Convolutional LSTM cell whose forget gate has 1 added.

    Args:
        channels: of input, hidden state and cell.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = conv(2 * channels, 4 * channels, 3)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """Advance one step.

        Args:
            x: (B, C, H, W).
            state: hidden state and cell, each (B, C, H, W); None for zeros.

        Returns:
            Hidden state and cell.
        """
        hidden, cell = (torch.zeros_like(x),) * 2 if state is None else state
        i, j, f, o = self.gates(torch.cat((x, hidden), dim=1)).chunk(4, dim=1)
        cell = cell * torch.sigmoid(f + 1) + torch.sigmoid(i) * torch.tanh(j)
        return torch.tanh(cell) * torch.sigmoid(o), cell


def _blocks(channels: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(3)))


def _encoder(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, outputs, 5, stride=stride), nn.ReLU(), *_blocks(outputs))
