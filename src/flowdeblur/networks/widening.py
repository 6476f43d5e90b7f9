"""Widen a trained network without changing what it computes (Net2Net, Chen et al., ICLR 2016)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from flowdeblur.networks.initialization import layers
from flowdeblur.types import Network

_READS_THE_FRAME_FIRST = "d_conv0"


def width_of(tensors: Mapping[str, Tensor]) -> int:
    """Channels of d_conv1; 0 for weights of another architecture."""
    bias = tensors.get("deblurring_subnet.d_conv1.bias")
    return 0 if bias is None else len(bias)


def widen(
    network: Network, tensors: Mapping[str, Tensor], generator: torch.Generator
) -> dict[str, Tensor]:
    """Weights of ``network`` with which it computes what a narrower one does.

    Every channel stands in for one of the narrow network, and what a layer reads from a channel is
    divided at random among its copies. So copies get different gradients and part in training.
    Channels of images and flow, whose number does not depend on the width, stay single.

    Args:
        network: a wider :class:`~flowdeblur.networks.FlowGuidedDeblurring`.
        tensors: weights and biases of a narrower one, by name.
        generator: draws the shares.
    """
    wide, narrow = width_of(network.state_dict()), width_of(tensors)
    result = {}
    for name, layer in layers(network):
        weight, bias = tensors[f"{name}.weight"].float(), tensors[f"{name}.bias"].float()
        transposed = isinstance(layer, nn.ConvTranspose2d)
        weight = weight.transpose(0, 1) if transposed else weight
        fixed_first = name.endswith(_READS_THE_FRAME_FIRST)
        read = _sources(weight.shape[1], layer.in_channels, narrow, wide, fixed_first)
        written = _sources(weight.shape[0], layer.out_channels, narrow, wide, False)
        parts = 0.5 + torch.rand(len(written), len(read), generator=generator)
        whole = torch.zeros(len(written), weight.shape[1]).index_add(1, read, parts)
        shares = parts / whole[:, read]
        weight = weight[written][:, read] * shares[:, :, None, None]
        result[f"{name}.weight"] = (weight.transpose(0, 1) if transposed else weight).contiguous()
        result[f"{name}.bias"] = bias[written]
    return result


def _sources(old: int, new: int, narrow: int, wide: int, fixed_first: bool) -> Tensor:
    """Of each of ``new`` channels, which of ``old`` it copies; some do not grow with the width."""
    fixed = (wide * old - narrow * new) // (wide - narrow)
    single, grown = torch.arange(fixed), torch.arange(new - fixed) * narrow // wide
    return torch.cat((single, fixed + grown) if fixed_first else (grown, old - fixed + single))
