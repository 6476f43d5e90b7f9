"""Efficient spatio-temporal recurrent neural network: ESTRNN (Zhong et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv
from flowdeblur.networks.peers.peer import Peer
from flowdeblur.types import Restoration

MEAN = 0.5
REACH = 2


class ESTRNN(Peer):
    """A recurrent cell for every frame, and attention over the features of five frames.

    The network runs over a window: every sample starts from a zero state, so that samples stay
    independent, as for any other network. The cost is a cell for each frame of the window where a
    stream needs one a frame, and a memory no longer than the window.

    Args:
        width: channels of the first layer; 16 in the paper. All others scale with it.
        blocks: dense blocks of the cell's body; 15 for "B15".
        frame_offsets: the window, consecutive, ending at 2 and beginning at -2 or before.
        padding: see :class:`Peer`.
    """

    stride = 4

    def __init__(
        self,
        *,
        width: int = 16,
        blocks: int = 15,
        frame_offsets: Sequence[int] = (-4, -3, -2, -1, 0, 1, 2),
        padding: str = "replicate",
    ) -> None:
        super().__init__(frame_offsets=check_window(frame_offsets), padding=padding)
        self.cell = Cell(width, blocks)
        self.fusion = Fusion(5 * width)
        self.upsampling = nn.Sequential(
            _transposed((2 * REACH + 1) * 5 * width, 2 * width),
            _transposed(2 * width, width),
            conv(width, 3, 5),
        )

    def restore(self, frames: Tensor, *, keep_rnn_weights: bool) -> Restoration:
        """See :meth:`Peer.restore`."""
        state: Tensor | None = None
        features = []
        for frame in frames.unbind(1):
            feature, state = self.cell(frame - MEAN, state)
            features.append(feature)
        return Restoration(self._merge(features[-2 * REACH - 1 :]))

    def streaming_step(self, frame: Tensor) -> Tensor:
        """Do the work of one frame of a stream (one cell, one fusion), for benchmarks.

        Args:
            frame: (B, 3, H, W), H and W multiples of 4.
        """
        feature, _ = self.cell(frame - MEAN, None)
        return self._merge([feature] * (2 * REACH + 1))

    def _merge(self, features: list[Tensor]) -> Tensor:
        frame: Tensor = self.upsampling(self.fusion(features))
        return frame + MEAN


class Cell(nn.Module):
    """Features of one frame at 1/4, given the state of the frame before.

    Args:
        width: channels of the first layer.
        blocks: dense blocks of the body.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        w, body = width, 5 * width
        self.state_channels = w
        self.features = nn.Sequential(
            conv(3, w, 5),
            DenseBlock(w, w),
            conv(w, 2 * w, 5, stride=2),
            DenseBlock(2 * w, 3 * w // 2),
            conv(2 * w, 4 * w, 5, stride=2),
        )
        self.body = nn.ModuleList(DenseBlock(body, 2 * w) for _ in range(blocks))
        self.body_fusion = nn.Sequential(conv(blocks * body, body, 1), conv(body, body, 3))
        self.state = nn.Sequential(conv(body, w, 3), DenseBlock(w, w), conv(w, w, 3))

    def forward(self, frame: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Advance one frame.

        Args:
            frame: (B, 3, H, W), centred at 0.
            state: (B, w, H / 4, W / 4), or None for zeros.

        Returns:
            Features (B, 5 w, H / 4, W / 4) and the next state.
        """
        x = self.features(frame)
        if state is None:
            state = x.new_zeros(len(x), self.state_channels, *x.shape[-2:])
        x = torch.cat((x, state), dim=1)
        outputs = []
        for block in self.body:
            x = block(x)
            outputs.append(x)
        features = self.body_fusion(torch.cat(outputs, dim=1))
        return features, self.state(features)


class DenseBlock(nn.Module):
    """Three convolutions that each append ``growth`` channels, a 1x1, and the input added.

    Args:
        channels: of input and output.
        growth: channels that each convolution appends.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(channels + i * growth, growth, 3) for i in range(3))
        self.last = conv(channels + 3 * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        dense = x
        for each in self.convs:
            dense = torch.cat((dense, nn.functional.gelu(each(dense))), dim=1)
        last: Tensor = self.last(dense)
        return last + x


class Fusion(nn.Module):
    """Global channel attention between the current frame's features and each neighbour's.

    Args:
        channels: C, of a frame's features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        pair = 2 * channels
        self.attention = nn.Sequential(
            nn.Linear(pair, 2 * pair), nn.GELU(), nn.Linear(2 * pair, pair), nn.Sigmoid()
        )
        self.mixing = nn.Sequential(conv(pair, 2 * pair, 1), conv(2 * pair, pair, 1))
        self.condense = conv(pair, channels, 1)
        self.last = conv((2 * REACH + 1) * channels, (2 * REACH + 1) * channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse the features of the frames at -2 .. 2, each (B, C, h, w), to (B, 5 C, h, w)."""
        current = features[REACH]
        fused = []
        for index, neighbour in enumerate(features):
            if index != REACH:
                both = torch.cat((current, neighbour), dim=1)
                weights = self.attention(both.mean((2, 3)))[..., None, None]
                fused.append(self.condense(weights * self.mixing(both)))
        result: Tensor = self.last(torch.cat((*fused, current), dim=1))
        return result


def check_window(frame_offsets: Sequence[int]) -> Sequence[int]:
    """Return a window of consecutive frames that covers -2 .. 2 and ends there.

    Raises:
        ValueError: it does not.
    """
    first, last = min(frame_offsets, default=0), REACH
    if list(frame_offsets) != list(range(first, last + 1)) or first > -REACH:
        raise ValueError(
            f"frame_offsets must be consecutive from -{REACH} or before to {REACH}, "
            f"got {tuple(frame_offsets)}"
        )
    return frame_offsets


def _transposed(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
