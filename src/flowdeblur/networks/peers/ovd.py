"""Online video deblurring via dynamic temporal blending (Kim et al., ICCV 2017).

After two independent ports that agree on the structure; the authors' code was not available.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv, deconv
from flowdeblur.networks.peers.estrnn import REACH, check_window
from flowdeblur.networks.peers.peer import Peer
from flowdeblur.types import Restoration

MEAN = 0.5
State = tuple[Tensor, Tensor]


class OVD(Peer):
    """An encoder-decoder at 1/2 that blends its features with those of the frame before.

    The network runs over a window, as :class:`ESTRNN` does: the state is zero at the first frame
    that has two neighbours at either side inside the window.

    Args:
        width: channels of the blocks; 64 in the ports.
        frame_offsets: the window, consecutive, ending at 2 and beginning at -2 or before.
        batch_norm: whether the blocks have batch norm, which is not known of the original.
        padding: see :class:`Peer`.
    """

    stride = 2

    def __init__(
        self,
        *,
        width: int = 64,
        frame_offsets: Sequence[int] = (-4, -3, -2, -1, 0, 1, 2),
        batch_norm: bool = False,
        padding: str = "replicate",
    ) -> None:
        super().__init__(frame_offsets=check_window(frame_offsets), padding=padding)
        w, half = width, width // 2
        self.width = width
        self.head, self.down = conv(3 * (2 * REACH + 1), w, 5), conv(w, half, 3, stride=2)
        self.encoder = _blocks(w, batch_norm)
        self.blending = conv(2 * w, w, 5)
        self.beta = nn.Parameter(torch.zeros(()))
        self.decoder = _blocks(w, batch_norm)
        self.up, self.last = deconv(w, w), conv(w, 3, 3)
        self.feedback = conv(w, half, 3)

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`; only the last frame of the window is decoded to an image."""
        state: State | None = None
        for first in range(frames.shape[1] - 2 * REACH):
            stacked = frames[:, first : first + 2 * REACH + 1].flatten(1, 2)
            features, state = self._step(stacked, state)
        return Restoration(self._image(features))

    def streaming_step(self, frame: Tensor) -> Tensor:
        """Do the work of one frame of a stream, for benchmarks.

        Args:
            frame: (B, 3, H, W), H and W even.
        """
        return self._image(self._step(frame.repeat(1, 2 * REACH + 1, 1, 1), None)[0])

    def _step(self, stacked: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Decoded features, and the state h', f, after one frame."""
        x = F.relu(self.down(F.relu(self.head(stacked - MEAN))))
        if state is None:
            state = x.new_zeros(len(x), self.width, *x.shape[-2:]), torch.zeros_like(x)
        previous, feedback = state
        features = self.encoder(torch.cat((x, feedback), dim=1))
        blend = torch.tanh(self.blending(torch.cat((features, previous), dim=1))).abs() + self.beta
        blend = blend.clamp(0, 1)
        blended = blend * features + (1 - blend) * previous
        decoded = self.decoder(blended)
        return decoded, (blended, F.relu(self.feedback(decoded)))

    def _image(self, decoded: Tensor) -> Tensor:
        image: Tensor = self.last(F.relu(self.up(decoded)))
        return image + MEAN


class Block(nn.Module):
    """relu(x + [C3, (BN), ReLU, C3, (BN)])."""

    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        norms = [nn.BatchNorm2d(channels) if batch_norm else nn.Identity() for _ in range(2)]
        self.body = nn.Sequential(
            conv(channels, channels, 3), norms[0], nn.ReLU(), conv(channels, channels, 3), norms[1]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return F.relu(x + self.body(x))


def _blocks(channels: int, batch_norm: bool) -> nn.Sequential:
    return nn.Sequential(*(Block(channels, batch_norm) for _ in range(4)))
