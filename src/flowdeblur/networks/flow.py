"""The flow subnet: FlowNet2-s, which is FlowNetS at 3/8 of its width (upper half of Table I)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv, deconv, relu


class FlowFeatures(NamedTuple):
    """Output of the flow subnet for the rest of the network.

    Attributes:
        flows: flow6 .. flow2, coarse to fine, each (B, 2 N, h, w) at 1/64 .. 1/4 of the input, in
            pixels of its own scale; (dx, dy) for each of the N flows.
        guides: cat1, cat2, cat3 at 1/2, 1/4, 1/8: the features that the RNN weights are read from.
    """

    flows: tuple[Tensor, ...]
    guides: tuple[Tensor, ...]


class FlowSubnet(nn.Module):
    """Encoder and decoder with skip connections; layers are named as in the released definition.

    Args:
        width: channels of conv1, even; the paper's 24 makes FlowNet2-s, 64 would make FlowNetS.
        frames: how many RGB frames are stacked at the input.
        flows: how many flows are predicted at each scale.
    """

    def __init__(self, *, width: int = 24, frames: int = 2, flows: int = 1) -> None:
        super().__init__()
        w, uv = width, 2 * flows
        # Channels of cat1, cat2, cat3.
        self.guide_channels = (w + w // 2 + uv, 2 * w + w + uv, 4 * w + 2 * w + uv)
        _, cat2, cat3 = self.guide_channels
        cat4 = 8 * w + 4 * w + uv
        cat5 = 8 * w + 8 * w + uv

        self.conv1 = conv(3 * frames, w, 7, stride=2)
        self.conv2 = conv(w, 2 * w, 5, stride=2)
        self.conv3 = conv(2 * w, 4 * w, 5, stride=2)
        self.conv3_1 = conv(4 * w, 4 * w, 3)
        self.conv4 = conv(4 * w, 8 * w, 3, stride=2)
        self.conv4_1 = conv(8 * w, 8 * w, 3)
        self.conv5 = conv(8 * w, 8 * w, 3, stride=2)
        self.conv5_1 = conv(8 * w, 8 * w, 3)
        self.conv6 = conv(8 * w, 16 * w, 3, stride=2)
        self.conv6_1 = conv(16 * w, 16 * w, 3)

        self.flow6, self.flow5 = conv(16 * w, uv, 3), conv(cat5, uv, 3)
        self.flow4, self.flow3 = conv(cat4, uv, 3), conv(cat3, uv, 3)
        self.flow2 = conv(cat2, uv, 3)
        self.deconv5, self.deconv4 = deconv(16 * w, 8 * w), deconv(cat5, 4 * w)
        self.deconv3, self.deconv2 = deconv(cat4, 2 * w), deconv(cat3, w)
        self.deconv1 = deconv(cat2, w // 2)
        self.up6to5, self.up5to4, self.up4to3 = deconv(uv, uv), deconv(uv, uv), deconv(uv, uv)
        self.up3to2, self.up2to1 = deconv(uv, uv), deconv(uv, uv)

    def forward(self, frames: Tensor) -> FlowFeatures:
        """Predict flows and guides.

        Args:
            frames: (B, 3 T, H, W), the frames stacked along the channels, H and W multiples of 64.
        """
        conv1 = relu(self.conv1(frames))
        conv2 = relu(self.conv2(conv1))
        conv3 = relu(self.conv3_1(relu(self.conv3(conv2))))
        conv4 = relu(self.conv4_1(relu(self.conv4(conv3))))
        conv5 = relu(self.conv5_1(relu(self.conv5(conv4))))
        conv6 = relu(self.conv6_1(relu(self.conv6(conv5))))

        flow6 = self.flow6(conv6)
        cat5 = torch.cat((conv5, relu(self.deconv5(conv6)), self.up6to5(flow6)), dim=1)
        flow5 = self.flow5(cat5)
        cat4 = torch.cat((conv4, relu(self.deconv4(cat5)), self.up5to4(flow5)), dim=1)
        flow4 = self.flow4(cat4)
        cat3 = torch.cat((conv3, relu(self.deconv3(cat4)), self.up4to3(flow4)), dim=1)
        flow3 = self.flow3(cat3)
        cat2 = torch.cat((conv2, relu(self.deconv2(cat3)), self.up3to2(flow3)), dim=1)
        flow2 = self.flow2(cat2)
        cat1 = torch.cat((conv1, relu(self.deconv1(cat2)), self.up2to1(flow2)), dim=1)
        return FlowFeatures((flow6, flow5, flow4, flow3, flow2), (cat1, cat2, cat3))
