"""Simple baselines for image restoration: NAFNet (Chen et al., ECCV 2022).

With more than one frame it is the control that stacks frames at the input ("early fusion").
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.networks.peers.peer import Peer
from flowdeblur.types import Restoration


class NAFNet(Peer):
    """A U-net of blocks without nonlinear activations; parameter names are the published ones.

    Args:
        width: channels at full resolution; 32 and 64 are published.
        encoder_blocks: blocks at 1, 1/2, ...
        middle_blocks: blocks at the lowest resolution.
        decoder_blocks: blocks on the way up, coarse to fine.
        frame_offsets: frames that are stacked at the input; the current one goes first.
        local_mean: side, in full-size pixels, of the window that replaces the global mean in
            evaluation mode (test-time local converter, "TLC"; 384 in the paper); None keeps the
            global mean.
        padding: see :class:`Peer`; ``constant`` (zeros) is published.
    """

    def __init__(
        self,
        *,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
        frame_offsets: Sequence[int] = (0,),
        local_mean: int | None = None,
        padding: str = "constant",
    ) -> None:
        super().__init__(frame_offsets=frame_offsets, padding=padding)
        if len(encoder_blocks) != len(decoder_blocks):
            raise ValueError("encoder_blocks and decoder_blocks must have the same length")
        scales = len(encoder_blocks)
        self.stride = 1 << scales
        windows = [local_mean and max(local_mean >> level, 1) for level in range(scales + 1)]
        widths = [width << level for level in range(scales + 1)]
        self.intro = nn.Conv2d(3 * len(frame_offsets), width, 3, padding=1)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        self.encoders = nn.ModuleList(
            _blocks(count, n, window)
            for count, n, window in zip(encoder_blocks, widths, windows, strict=False)
        )
        self.downs = nn.ModuleList(nn.Conv2d(n, 2 * n, 2, stride=2) for n in widths[:-1])
        self.middle_blks = _blocks(middle_blocks, widths[-1], windows[-1])
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(n, 2 * n, 1, bias=False), nn.PixelShuffle(2))
            for n in widths[:0:-1]
        )
        self.decoders = nn.ModuleList(
            _blocks(count, n, window)
            for count, n, window in zip(
                decoder_blocks, widths[-2::-1], windows[-2::-1], strict=True
            )
        )

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`."""
        current = frames[:, self.current_index]
        others = [
            frames[:, index] for index in range(frames.shape[1]) if index != self.current_index
        ]
        x = self.intro(torch.cat((current, *others), dim=1))
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(x))
            x = down(skips[-1])
        x = self.middle_blks(x)
        for decoder, up in zip(self.decoders, self.ups, strict=True):
            x = decoder(up(x) + skips.pop())
        return Restoration(self.ending(x) + current)


class NAFBlock(nn.Module):
    """Depthwise convolution with channel attention, then a feed-forward part; both gated.

    Both residuals start at 0: ``beta`` and ``gamma`` are zero at first.

    Args:
        channels: of input and output.
        window: side of the local mean in evaluation mode; None for the global mean.
    """

    def __init__(self, channels: int, window: int | None = None) -> None:
        super().__init__()
        n = channels
        self.norm1, self.norm2 = ChannelNorm(n), ChannelNorm(n)
        self.conv1 = nn.Conv2d(n, 2 * n, 1)
        self.conv2 = nn.Conv2d(2 * n, 2 * n, 3, padding=1, groups=2 * n)
        self.sca = nn.Sequential(Mean(window), nn.Conv2d(n, n, 1))
        self.conv3, self.conv4, self.conv5 = (
            nn.Conv2d(n, n, 1),
            nn.Conv2d(n, 2 * n, 1),
            nn.Conv2d(n, n, 1),
        )
        self.beta = nn.Parameter(torch.zeros(1, n, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, n, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        y: Tensor = gate(self.conv2(self.conv1(self.norm1(x))))
        x = x + self.beta * self.conv3(y * self.sca(y))
        y = self.conv5(gate(self.conv4(self.norm2(x))))
        return x + self.gamma * y


class ChannelNorm(nn.Module):
    """Layer norm over the channels of every pixel, with weight and bias."""

    def __init__(self, channels: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        last = x.permute(0, 2, 3, 1)
        normal = F.layer_norm(last, self.weight.shape, self.weight, self.bias, self.epsilon)
        return normal.permute(0, 3, 1, 2)


class Mean(nn.Module):
    """Mean over the image; in evaluation mode, over a window around each pixel where one is set.

    At a border, the nearest mean of a whole window is used.
    """

    def __init__(self, window: int | None) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 1, 1), or (B, C, H, W) for local means."""
        height, width = x.shape[-2:]
        if self.training or self.window is None:
            return x.mean((2, 3), keepdim=True)
        sides = min(self.window, height), min(self.window, width)
        if sides == (height, width):
            return x.mean((2, 3), keepdim=True)
        # Sums over windows as differences of running sums, in double precision: exact enough, and
        # of a cost that does not depend on the window.
        sums = F.pad(x.double().cumsum(2).cumsum(3), (1, 0, 1, 0))
        rows = sums[:, :, sides[0] :] - sums[:, :, : -sides[0]]
        inside = (rows[..., sides[1] :] - rows[..., : -sides[1]]) / (sides[0] * sides[1])
        top, left = (height - inside.shape[2]) // 2, (width - inside.shape[3]) // 2
        bottom, right = height - inside.shape[2] - top, width - inside.shape[3] - left
        return F.pad(inside.to(x.dtype), (left, right, top, bottom), mode="replicate")


def gate(x: Tensor) -> Tensor:
    """Product of both halves of the channels."""
    first, second = x.chunk(2, dim=1)
    return first * second


def _blocks(count: int, channels: int, window: int | None) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(channels, window) for _ in range(count)))
