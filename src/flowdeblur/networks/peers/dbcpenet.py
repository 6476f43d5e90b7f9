"""Dark and bright channel prior embedded network: DBCPeNet (Cai et al., TIP 2020).

The architecture only: its training recipe and loss weights were not released.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv
from flowdeblur.networks.peers.peer import Peer, pyramid
from flowdeblur.types import Restoration

SCALES = 3


class DBCPeNet(Peer):
    """An encoder-decoder at each of three scales, linked by features of neighbouring scales.

    Each predicts maps of its dark and bright channels on the way; the published training asks for
    sparse ones.

    Args:
        width: channels of all layers, a multiple of 4; 64 in the paper.
        padding: see :class:`Peer`.
    """

    stride = 16

    def __init__(self, *, width: int = 64, padding: str = "replicate") -> None:
        super().__init__(padding=padding)
        # Coarse to fine: all but the finest read the finer scale's features, all but the coarsest
        # the coarser scale's.
        self.encoders = nn.ModuleList(
            Encoder(width, finer=scale < SCALES - 1) for scale in range(SCALES)
        )
        self.decoders = nn.ModuleList(Decoder(width, coarser=scale > 0) for scale in range(SCALES))
        self.last = conv(width, 3, 3)

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`."""
        encoded: list[tuple[Tensor, Tensor]] = []
        finer: Tensor | None = None
        for image, encoder in zip(
            reversed(pyramid(frames[:, 0], SCALES)), reversed(list(self.encoders)), strict=True
        ):
            full, finer = encoder(image, finer)
            encoded.append((full, finer))
        x: Tensor | None = None
        for (full, half), decoder in zip(reversed(encoded), self.decoders, strict=True):
            x = decoder(full, half, x)
        return Restoration(self.last(x))


class Encoder(nn.Module):
    """Features of one scale, at its full and at its half resolution."""

    def __init__(self, width: int, *, finer: bool) -> None:
        super().__init__()
        self.p1, self.p2 = conv(3, width, 3), conv(width, width, 3)
        self.prior = Prior(2 * width if finer else width, width)
        self.c1 = conv(width, width, 3, stride=2)

    def forward(self, image: Tensor, finer: Tensor | None) -> tuple[Tensor, Tensor]:
        """Image (B, 3, H, W) and the finer scale's half-resolution features (B, C, H, W)."""
        features = self.p2(self.p1(image))
        if finer is not None:
            features = torch.cat((finer, features), dim=1)
        full = self.prior(features)
        return full, self.c1(full)


class Decoder(nn.Module):
    """From both features of one scale to those that restore it."""

    def __init__(self, width: int, *, coarser: bool) -> None:
        super().__init__()
        self.c2, self.blocks2 = conv(width, width, 3), _blocks(width, 4)
        self.c3 = conv(width, width, 3, stride=2)
        self.c4, self.blocks4 = conv(width, width, 3), _blocks(width, 8)
        self.conv4 = conv(width, width, 3)
        self.up3, self.blocks3 = conv(width // 4, width, 3), _blocks(width, 4)
        self.conv3 = conv(width, width, 3)
        self.join = conv(2 * width if coarser else width, width, 3)
        self.up2 = conv(width // 4, width, 3)
        self.prior = Prior(width, width)

    def forward(self, full: Tensor, half: Tensor, coarser: Tensor | None) -> Tensor:
        """(B, C, H, W), (B, C, H / 2, W / 2) and the coarser scale's result -> (B, C, H, W)."""
        c3 = self.c3(self.blocks2(self.c2(half)))
        x = self.conv4(self.blocks4(self.c4(c3))) + c3
        x = self.conv3(self.blocks3(self.up3(F.pixel_shuffle(x, 2)))) + half
        if coarser is not None:
            x = torch.cat((x, coarser), dim=1)
        x = self.up2(F.pixel_shuffle(self.join(x), 2)) + full
        prior: Tensor = self.prior(x)
        return prior


class Prior(nn.Module):
    """Features, dark-channel and bright-channel maps, and the layer that joins them."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.features = conv(inputs, width, 3)
        self.dark, self.bright = conv(inputs, 3, 3), conv(inputs, 3, 3)
        self.join = conv(width + 6, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, width, H, W)."""
        joined: Tensor = self.join(
            torch.cat((self.features(x), self.dark(x), self.bright(x)), dim=1)
        )
        return joined


class Block(nn.Module):
    """Three times x + C3(PReLU(C3 x)), then 1x1, and the block's input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.ModuleList(conv(channels, channels, 3) for _ in range(3))
        self.slopes = nn.ModuleList(nn.PReLU(channels) for _ in range(3))
        self.second = nn.ModuleList(conv(channels, channels, 3) for _ in range(3))
        self.last = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        y = x
        for first, slope, second in zip(self.first, self.slopes, self.second, strict=True):
            y = y + second(slope(first(y)))
        last: Tensor = self.last(y)
        return last + x


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))
