"""Initial weights: the paper's, the released code's, and a start near the identity.

Each is a function ``(network, generator) -> None``, so that the weights are a pure function of the
seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from flowdeblur.types import Network

Layer = nn.Conv2d | nn.ConvTranspose2d
Initialization = Callable[[Network, torch.Generator], None]

NEGATIVE_SLOPE = 0.1
_READ_PICTURES = ("conv1", "d_conv1")


def own(network: Network, generator: torch.Generator) -> None:
    """The network's own scheme, a method ``initialize(generator)``; PyTorch's defaults without."""
    initialize = getattr(network, "initialize", None)
    if initialize is None:
        pytorch_defaults(network, generator)
    else:
        initialize(generator)


def pytorch_defaults(network: Network, generator: torch.Generator) -> None:
    """PyTorch's default weights of every layer, drawn anew."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _, module in network.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()


def xavier(network: Network, generator: torch.Generator) -> None:
    """Glorot and Bengio's uniform weights and zero biases everywhere.

    The paper says so of all but the flow subnet.
    """
    for _, layer in layers(network):
        nn.init.xavier_uniform_(layer.weight, generator=generator)
        _zero(layer.bias)


def released_code(network: Network, generator: torch.Generator) -> None:
    """The fillers of the released definition, scaled by fan-in as Caffe does.

    ``msra`` in the flow subnet and the decoder, ``xavier`` in rnnw, the encoder and d_conv0.
    """
    for name, layer in layers(network):
        fan_in = layer.weight[0].numel()  # Caffe's count / num, for deconvolutions too
        linear = ".rnnw" in name or name.endswith(("d_conv1", "d_conv2", "d_conv3", "d_conv0"))
        if linear:
            bound = math.sqrt(3 / fan_in)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        else:
            nn.init.normal_(layer.weight, 0, math.sqrt(2 / fan_in), generator=generator)
        _zero(layer.bias)


class NearIdentity:
    """Start where the restored frame is the blurry one and the RNNs copy their features.

    d_conv0 passes the frame through and reads its features with small weights; rnnw gives w near 0,
    where the recurrence can neither ring nor forget. Everything else keeps the variance of its
    input (He et al.), counting for deconvolutions the k^2 / stride^2 taps that reach an output
    pixel.

    The layers that read images get kernels without a mean: what they hand on is contrast, of
    variance 1, and not brightness, which would drown it. The flow subnet learns several times as
    fast for it (``docs/recipes.md``).

    Args:
        rnn_gain: scale of the RNN weights' logits, relative to a variance-keeping layer.
        residual_gain: the same for what d_conv0 adds to the blurry frame.
        flow_gain: the same for the layers that predict flow, in pixels.
        contrast_gain: the same for conv1 and d_conv1; the reciprocal of an image's contrast.
    """

    def __init__(
        self,
        rnn_gain: float = 0.1,
        residual_gain: float = 0.1,
        flow_gain: float = 0.1,
        contrast_gain: float = 5.0,
    ) -> None:
        self.rnn_gain, self.residual_gain, self.flow_gain = rnn_gain, residual_gain, flow_gain
        self.contrast_gain = contrast_gain

    def __call__(self, network: Network, generator: torch.Generator) -> None:
        """Initialize ``network`` in place; other architectures get their :func:`own` weights."""
        if not hasattr(network, "pass_blurry_frame"):
            own(network, generator)
            return
        for name, layer in layers(network):
            leaf = name.rpartition(".")[2]
            scale = self._gain(leaf) / math.sqrt(fan_in(layer))
            nn.init.normal_(layer.weight, 0, scale, generator=generator)
            _zero(layer.bias)
            if leaf in _READ_PICTURES:
                with torch.no_grad():
                    layer.weight -= layer.weight.mean(dim=(1, 2, 3), keepdim=True)
        network.pass_blurry_frame()

    def _gain(self, leaf: str) -> float:
        if leaf == "rnnw":
            return self.rnn_gain
        if leaf == "d_conv0":
            return self.residual_gain
        if leaf.startswith("flow"):
            return self.flow_gain
        linear = leaf.startswith(("up", "d_conv1", "d_conv2")) or leaf == "d_conv3"
        gain = 1.0 if linear else math.sqrt(2 / (1 + NEGATIVE_SLOPE**2))
        return self.contrast_gain * gain if leaf in _READ_PICTURES else gain


def layers(network: Network) -> Iterator[tuple[str, Layer]]:
    """Every layer with weights, by its dotted name."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            yield name, module


def fan_in(layer: nn.Module) -> float:
    """Inputs that reach one output of a layer, of deconvolutions too; 1 if it mixes none."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        return 1
    if isinstance(layer, nn.ConvTranspose2d):
        return weight[:, 0].numel() / math.prod(layer.stride)
    return weight[0].numel()


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
