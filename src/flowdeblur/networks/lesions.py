"""Lesions: switch off one part of a network to see what the part contributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from flowdeblur.types import Network

if TYPE_CHECKING:
    from flowdeblur.networks.flow_guided import FlowGuidedDeblurring

Lesion = Callable[[], AbstractContextManager[None]]
"""Switches a part of a network off for the duration of a ``with`` block."""


def lesions(network: Network) -> dict[str, Lesion]:
    """Lesions of any network, by name.

    A network with several frames has the lesion ``neighbours``: every frame is the current one. A
    network may add its own by a method ``lesions()`` that returns them by name.
    """
    found: dict[str, Lesion] = {}
    if len(network.frame_offsets) > 1:
        found["neighbours = current frame"] = partial(same_frame, network)
    own = getattr(network, "lesions", None)
    return found | (own() if own is not None else {})


def flow_guided_lesions(network: FlowGuidedDeblurring) -> dict[str, Lesion]:
    """Lesions of the paper's network and of its variants in Table IV.

    At each scale: the RNN weights (with w = 0 an RNN copies its features), the encoder's conv, the
    skip connection into the decoder, and everything below the scale. The skip connection of the
    blurry frame itself is not among them: without it nothing is left of the image.
    """
    found: dict[str, Lesion] = {}
    subnet, flow = network.deblurring_subnet, network.flow_subnet
    if flow is not None and network.flow_offsets:
        heads = [flow.flow6, flow.flow5, flow.flow4, flow.flow3, flow.flow2]
        found["flow = 0"] = partial(zero_outputs, *heads)
    for scale, coupling in (("1/2", subnet.rnn1), ("1/4", subnet.rnn2), ("1/8", subnet.rnn3)):
        guide = getattr(coupling, "rnnw", None)
        if guide is not None:
            found[f"RNN weights {scale} = 0"] = partial(zero_outputs, guide)
    below = subnet.d_conv3_3.out_channels
    levels = (
        ("1/2", subnet.d_conv1, subnet.d_deconv1, subnet.d_conv2.in_channels),
        ("1/4", subnet.d_conv2, subnet.d_deconv2, subnet.d_conv3.in_channels),
        ("1/8", subnet.d_conv3, subnet.d_deconv3, subnet.d_deconv3.in_channels - below),
    )
    for scale, encoder, _, _ in levels:
        found[f"encoder {scale}"] = partial(zero_outputs, encoder)
    for scale, _, decoder, width in levels:
        found[f"skip {scale}"] = partial(zero_inputs, decoder, slice(0, width))
    for scale, _, decoder, width in levels:
        name = f"below {scale}" if scale != "1/8" else "convs at 1/8"
        found[name] = partial(zero_inputs, decoder, slice(width, None))
    return found


@contextmanager
def same_frame(network: Network) -> Iterator[None]:
    """Give the current frame in the place of every neighbour."""

    def hook(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        frames, *rest = arguments
        current = frames[:, network.current_index, None]
        return (current.expand_as(frames).contiguous(), *rest)

    handle = network.get_submodule("").register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def zero_outputs(*modules: nn.Module) -> Iterator[None]:
    """Replace the outputs of ``modules`` by zeros."""
    handles = [
        module.register_forward_hook(lambda _, __, output: torch.zeros_like(output))
        for module in modules
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def zero_inputs(module: nn.Module, channels: slice) -> Iterator[None]:
    """Replace ``channels`` of the input (B, C, H, W) of ``module`` by zeros."""

    def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        features = arguments[0].clone()
        features[:, channels] = 0
        return (features, *arguments[1:])

    handle = module.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()
