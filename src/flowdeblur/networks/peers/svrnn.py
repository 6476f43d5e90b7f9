"""Spatially variant RNNs for dynamic scene deblurring: SVRNN (Zhang et al., CVPR 2018).

The conference predecessor of this project's network: the same recurrence, whose weights come from
the blurry frame only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv, relu
from flowdeblur.networks.initialization import layers
from flowdeblur.networks.lesions import Lesion, zero_outputs
from flowdeblur.networks.peers.peer import Peer, double
from flowdeblur.ops import spatially_variant_rnn
from flowdeblur.types import Restoration

GROUPS = 4


class SVRNN(Peer):
    """Four groups of four-directional RNNs at half resolution; VGG-like weights.

    Differs from the released model in its upsampling: bilinear on the half-pixel grid here, without
    the half-pixel shift and with zeros beyond the border there.

    Args:
        width: channels of the first feature layer; 16 in the paper. All others scale with it.
        padding: see :class:`Peer`.
    """

    stride = 8

    def __init__(self, *, width: int = 16, padding: str = "replicate") -> None:
        super().__init__(padding=padding)
        w = width
        self.f1, self.f2 = conv(3, w, 11), conv(w, 2 * w, 7, stride=2)
        self.g1 = _convs(3, 4 * w, 4 * w)
        self.g2 = _convs(4 * w, 8 * w, 8 * w)
        self.g3 = _convs(8 * w, 16 * w, 16 * w, 16 * w)
        self.g4 = _convs(16 * w, 32 * w, 32 * w, 16 * w)
        self.k1, self.k2 = conv(32 * w, 8 * w, 3), conv(8 * w, 8 * w, 3)
        self.k3, self.k4 = conv(16 * w, 16 * w, 3), conv(16 * w, 8 * w * GROUPS, 3)
        self.fusions = nn.ModuleList(conv(8 * w, 2 * w, 3) for _ in range(GROUPS))
        self.r1, self.r2 = conv(4 * w, w, 9), conv(2 * w, 3, 5)

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`; ``rnn_weights`` are those of the four groups, all at 1/2."""
        frame = frames[:, 0]
        logits = self._logits(frame).chunk(GROUPS, dim=1)
        f1 = relu(self.f1(frame))
        f2 = x = self.f2(f1)
        for fusion, weights in zip(self.fusions, logits, strict=True):
            x = relu(fusion(spatially_variant_rnn(x, weights, tanh=True)))
        x = relu(self.r1(torch.cat((f2, x), dim=1)))
        restored = self.r2(torch.cat((f1, double(x)), dim=1))
        kept = tuple(torch.tanh(each.float()) for each in logits) if keep_rnn_weights else ()
        return Restoration(restored, rnn_weights=kept)

    def lesions(self) -> dict[str, Lesion]:
        """See :func:`~flowdeblur.networks.lesions.lesions`; with w = 0 an RNN copies its input."""
        return {"RNN weights = 0": partial(zero_outputs, self.k4)}

    def initialize(self, generator: torch.Generator) -> None:
        """Uniform in +-sqrt(3 / fan-in), zero biases (Caffe's ``xavier``)."""
        for _, layer in layers(self):
            bound = math.sqrt(3 / layer.weight[0].numel())
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def _logits(self, frame: Tensor) -> Tensor:
        """RNN weights before their tanh, (B, 32 w, H / 2, W / 2)."""
        x = F.max_pool2d(_apply(self.g1, frame), 2)
        t2 = _apply(self.g2, x)
        t3 = _apply(self.g3[:2], F.max_pool2d(t2, 2))
        x = _apply(self.g4, F.max_pool2d(_apply(self.g3[2:], t3), 2))
        x = F.relu(self.k2(F.relu(self.k1(torch.cat((t3, double(x)), dim=1)))))
        logits: Tensor = self.k4(F.relu(self.k3(torch.cat((t2, double(x)), dim=1))))
        return logits


def _convs(*channels: int) -> nn.ModuleList:
    return nn.ModuleList(conv(a, b, 3) for a, b in pairwise(channels))


def _apply(convs: Sequence[nn.Module] | nn.ModuleList, x: Tensor) -> Tensor:
    for each in convs:
        x = F.relu(each(x))
    return x
