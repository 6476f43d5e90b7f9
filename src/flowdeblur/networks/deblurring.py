"""The deblurring subnet (Table I, lower half): a U-net on the blurry frame with three couplings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from flowdeblur.networks.blocks import conv, deconv, relu
from flowdeblur.networks.coupling import Coupling, SpatiallyVariantRNN
from flowdeblur.networks.strips import Strip, SweptStrips

Guides = Sequence[Tensor | None]
MakeCoupling = Callable[[int, int | None], Coupling]


class DeblurringSubnet(nn.Module):
    """The layers, named as in the released definition; a subclass says where the couplings stand.

    Args:
        coupling: makes a coupling from its feature and guide channels.
        guide_channels: channels of the guides at 1/2, 1/4, 1/8; None without a flow subnet.
        width: channels of d_conv1, even; 24 in the paper.
    """

    def __init__(
        self, *, coupling: MakeCoupling, guide_channels: Sequence[int | None], width: int = 24
    ) -> None:
        super().__init__()
        c1, c2, c3 = width, 2 * width, 4 * width
        g1, g2, g3 = guide_channels
        self.rnn1, self.rnn2, self.rnn3 = coupling(c1, g1), coupling(c2, g2), coupling(c3, g3)
        e, d = self._expansions(self.rnn1.expansion)
        self.d_conv1 = conv(3, c1, 5, stride=2)
        self.d_conv2 = conv(e * c1, c2, 5, stride=2)
        self.d_conv3 = conv(e * c2, c3, 5, stride=2)
        self.d_conv3_2 = conv(e * c3, c3, 5)
        self.d_conv3_3 = conv(d * c3, c2, 5)
        self.d_deconv3, self.d_deconv3_1 = deconv(e * d * c3 + c2, c2), conv(c2, c2, 5)
        self.d_deconv2, self.d_deconv2_1 = deconv(e * c2 + d * c2, c1), conv(c1, c1, 5)
        self.d_deconv1 = deconv(e * c1 + d * c1, c1 // 2)
        self.d_deconv1_1 = conv(c1 // 2, c1 // 2, 5)
        self.d_conv0 = conv(3 + c1 // 2, 3, 5)

    @staticmethod
    def _expansions(expansion: int) -> tuple[int, int]:
        """How much wider encoder and decoder hand on their stages than their convs made them."""
        raise NotImplementedError

    def forward(self, frame: Tensor, guides: Guides) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Restore a frame.

        Args:
            frame: (B, 3, H, W), H and W multiples of 8.
            guides: features at 1/2, 1/4, 1/8, or None three times.

        Returns:
            The restored frame (B, 3, H, W), and the logits of the RNN weights, coarse to fine (none
            without RNNs).
        """
        raise NotImplementedError

    def _finish(self, frame: Tensor, deconv1: Tensor) -> Tensor:
        d_deconv1_1 = relu(self.d_deconv1_1(relu(deconv1)))
        restored: Tensor = self.d_conv0(torch.cat((frame, d_deconv1_1), dim=1))
        return restored


class EncoderCoupled(DeblurringSubnet):
    """The paper's place: the encoder, before any activation has made the features sparse."""

    @staticmethod
    def _expansions(expansion: int) -> tuple[int, int]:
        return expansion, 1

    def forward(self, frame: Tensor, guides: Guides) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See :meth:`DeblurringSubnet.forward`."""
        rnn1, logits1 = self.rnn1(self.d_conv1(frame), guides[0])
        rnn2, logits2 = self.rnn2(self.d_conv2(rnn1), guides[1])
        x, logits3 = self._below(rnn2, guides[2])
        restored = self._finish(frame, self.d_deconv1(torch.cat((rnn1, x), dim=1)))
        return restored, _known(logits3, logits2, logits1)

    def restore_in_strips(self, frame: Tensor, guides: Guides, rows: int) -> Tensor:
        """Restore a frame like ``forward``, the scale 1/2 in strips that are ``rows`` high."""
        d_conv1 = self.d_conv1(frame)
        assert isinstance(self.rnn1, SpatiallyVariantRNN)
        assert guides[0] is not None
        swept = SweptStrips(self.rnn1, d_conv1, guides[0], rows)
        d_conv2 = swept.map(lambda strip, rnn1: strip.crop(self.d_conv2(rnn1), 0.5))
        x = self._below(self.rnn2(d_conv2, guides[1])[0], guides[2])[0]

        def finish(strip: Strip, rnn1: Tensor) -> Tensor:
            deconv1 = self.d_deconv1(torch.cat((rnn1, x[:, :, strip.read]), dim=1))
            seen = frame[:, :, 2 * strip.read.start : 2 * strip.read.stop]
            return strip.crop(self._finish(seen, deconv1), 2)

        return swept.map(finish)

    def _below(self, rnn2: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """From rnn2 to what goes into ``d_deconv1`` beside rnn1; also returns logits3."""
        rnn3, logits3 = self.rnn3(self.d_conv3(rnn2), guide)
        x = relu(self.d_conv3_3(relu(self.d_conv3_2(rnn3))))
        x = relu(self.d_deconv3_1(relu(self.d_deconv3(torch.cat((rnn3, x), dim=1)))))
        x = relu(self.d_deconv2_1(relu(self.d_deconv2(torch.cat((rnn2, x), dim=1)))))
        return x, logits3


class DecoderCoupled(DeblurringSubnet):
    """Table IV, "RNNs in decoder": the same couplings on the decoder's features at 1/8, 1/4, 1/2.

    The paper does not say where they stand. Here each follows the decoder's conv of its scale with
    the channels that the encoder's RNN of that scale had (96, 48, 24), so that rnnw and every layer
    from d_deconv3 on are those of the proposed network; only d_conv2, d_conv3, d_conv3_2 read fewer
    channels and d_conv3_3 more.
    """

    @staticmethod
    def _expansions(expansion: int) -> tuple[int, int]:
        return 1, expansion

    def forward(self, frame: Tensor, guides: Guides) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See :meth:`DeblurringSubnet.forward`."""
        d_conv1 = self.d_conv1(frame)
        d_conv2 = self.d_conv2(d_conv1)
        d_conv3 = self.d_conv3(d_conv2)
        rnn3, logits3 = self.rnn3(relu(self.d_conv3_2(d_conv3)), guides[2])
        x = relu(self.d_deconv3(torch.cat((rnn3, relu(self.d_conv3_3(rnn3))), dim=1)))
        rnn2, logits2 = self.rnn2(relu(self.d_deconv3_1(x)), guides[1])
        x = relu(self.d_deconv2(torch.cat((d_conv2, rnn2), dim=1)))
        rnn1, logits1 = self.rnn1(relu(self.d_deconv2_1(x)), guides[0])
        restored = self._finish(frame, self.d_deconv1(torch.cat((d_conv1, rnn1), dim=1)))
        return restored, _known(logits3, logits2, logits1)


def _known(*logits: Tensor | None) -> tuple[Tensor, ...]:
    return tuple(each for each in logits if each is not None)
