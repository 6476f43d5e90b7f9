"""Deep video deblurring for hand-held cameras: DBN (Su et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv, deconv
from flowdeblur.networks.peers.peer import Peer
from flowdeblur.types import Restoration

EPSILON = 1e-3


class DBN(Peer):
    """Five stacked frames through a U-net whose skips are sums; batch norm after every layer.

    Differs from the released model in its output: no sigmoid after the sum with the middle frame.

    Args:
        width: channels of the first layer; 64 in the paper.
        frame_offsets: frames that are stacked, unaligned, at the input.
        padding: see :class:`Peer`; ``constant`` (zeros) is published.
    """

    stride = 8

    def __init__(
        self,
        *,
        width: int = 64,
        frame_offsets: Sequence[int] = (-2, -1, 0, 1, 2),
        padding: str = "constant",
    ) -> None:
        super().__init__(frame_offsets=frame_offsets, padding=padding)
        w, stacked = width, 3 * len(frame_offsets)
        self.f0 = normalized(conv(stacked, w, 5))
        self.down1 = _convs(w, w, 2 * w, 2 * w)
        self.down2 = _convs(2 * w, 4 * w, 4 * w, 4 * w, 4 * w)
        self.down3 = _convs(4 * w, 8 * w, 8 * w, 8 * w, 8 * w)
        self.up1, self.after1 = normalized(deconv(8 * w, 4 * w)), _convs(*[4 * w] * 4, stride=1)
        self.up2 = normalized(deconv(4 * w, 2 * w))
        self.after2 = _convs(2 * w, 2 * w, w, stride=1)
        self.up3, self.after3 = normalized(deconv(w, w)), _convs(w, stacked, stride=1)
        self.last = normalized(conv(stacked, 3, 3))

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`."""
        f0 = F.relu(self.f0(frames.flatten(1, 2)))
        f2 = self.down1(f0)
        f5 = self.down2(f2)
        x = self.after1(F.relu(self.up1(self.down3(f5)) + f5))
        x = self.after2(F.relu(self.up2(x) + f2))
        x = self.after3(F.relu(self.up3(x) + f0))
        return Restoration(self.last(x) + frames[:, self.current_index])


def normalized(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    """A layer with bias, and its batch norm."""
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels, eps=EPSILON))


def _convs(*channels: int, stride: int = 2) -> nn.Sequential:
    """3x3 convolutions with batch norm and ReLU; ``stride`` is that of the first."""
    steps = [stride] + [1] * (len(channels) - 2)
    return nn.Sequential(
        *(
            nn.Sequential(normalized(conv(a, b, 3, stride=step)), nn.ReLU(inplace=True))
            for a, b, step in zip(channels, channels[1:], steps, strict=False)
        )
    )
