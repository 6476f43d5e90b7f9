"""Deep multi-scale CNN for dynamic scene deblurring (Nah et al., CVPR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv
from flowdeblur.networks.peers.peer import Peer, ResidualBlock, pyramid
from flowdeblur.types import Restoration

MEAN = 0.5


class Nah(Peer):
    """Three deep bodies at 1/4, 1/2 and 1, without shared weights, normalization or strides.

    Args:
        width: channels of the bodies; 64 in the paper.
        blocks: residual blocks of each body; 19 in the paper.
        padding: see :class:`Peer`.
    """

    stride = 4

    def __init__(self, *, width: int = 64, blocks: int = 19, padding: str = "replicate") -> None:
        super().__init__(padding=padding)
        self.bodies = nn.ModuleList(_body(inputs, width, blocks) for inputs in (3, 6, 6))
        self.links = nn.ModuleList(
            nn.Sequential(conv(3, 12, 5), nn.PixelShuffle(2)) for _ in range(2)
        )

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`; ``coarse`` are the outputs at 1/4 and 1/2."""
        coarse, *finer = (level - MEAN for level in pyramid(frames[:, 0], len(self.bodies)))
        outputs = [self.bodies[0](coarse)]
        for level, link, body in zip(finer, self.links, list(self.bodies)[1:], strict=True):
            outputs.append(body(torch.cat((level, link(outputs[-1])), dim=1)))
        *coarser, restored = (each + MEAN for each in outputs)
        return Restoration(restored, coarse=tuple(coarser))


def _body(inputs: int, width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        conv(inputs, width, 5), *(ResidualBlock(width) for _ in range(blocks)), conv(width, 3, 5)
    )
