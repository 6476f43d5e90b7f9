"""The authors' released Caffe model as a network of this project.

Their MATLAB scripts pass images to Caffe column by column, so the released network sees every
image transposed: its x is our y. Imported weights are those of the network that sees images as
they are, and ``imported(image)`` is ``transpose(caffe(transpose(image)))``. For that,

- every kernel is transposed;
- the two components of flow are exchanged, wherever one is written or read;
- directions of the RNNs are renamed. The released definition slices its weights as left>right,
  top>bottom, right>left, bottom>top and concatenates its outputs as left>right, right>left,
  top>bottom, bottom>top, in its own, transposed sense; here both have the latter order, in ours.

Its twelve GateRecurrent layers carry blobs of their own, which Caffe reads and never uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flowdeblur import weights
from flowdeblur.errors import UserError
from flowdeblur.types import Network
from flowdeblur.weights import caffemodel
from flowdeblur.weights.caffemodel import Blob

CONFIG: Mapping[str, Any] = {
    "_target_": "flowdeblur.networks.FlowGuidedDeblurring",
    "frame_offsets": [0, 1],
    "flow_offsets": [1],
    "width": 24,
    "padding": "constant",  # the released scripts pad with zeros
    "shrinkage": 0,
    "flow_subnet": {"_target_": "flowdeblur.networks.FlowSubnet", "_partial_": True},
    "deblurring_subnet": {
        "_target_": "flowdeblur.networks.EncoderCoupled",
        "_partial_": True,
        "coupling": {"_target_": "flowdeblur.networks.SpatiallyVariantRNN", "_partial_": True},
    },
}
"""The released network, as ``conf/model/proposed.yaml`` describes it."""

_CAFFE_NAMES = {
    **{f"flow{n}": f"predict_conv{n}" for n in range(2, 7)},
    **{f"up{n}to{n - 1}": f"upsample_flow{n}to{n - 1}" for n in range(2, 7)},
    **{f"rnn{n}.rnnw": f"conv_rnnw{n + 1}" for n in (1, 2, 3)},
    "d_conv1": "conv_rnne_1",
    "d_conv2": "conv_rnne_2",
    "d_conv3": "conv_rnne_3",
    "d_conv3_2": "conv_rnne_4",
    "d_conv3_3": "conv_rnne_4_1",
    "d_deconv3": "conv_rnnd_4",
    "d_deconv3_1": "conv_rnnd_4_1",
    "d_deconv2": "conv_rnnd_3",
    "d_deconv2_1": "conv_rnnd_3_1",
    "d_deconv1": "conv_rnnd_2",
    "d_deconv1_1": "conv_rnnd_2_1",
    "d_conv0": "conv_rnnd_1",
}
"""Of the layers that are named otherwise here."""

# Which of Caffe's four blocks of channels stands at each of ours.
_WEIGHT_BLOCKS = (1, 3, 0, 2)
_STATE_BLOCKS = (2, 3, 0, 1)

# The layers that read the states of an RNN first, and their channels for each direction.
_READ_STATES = {
    "d_conv2": 24,
    "d_conv3": 48,
    "d_conv3_2": 96,
    "d_deconv3": 96,
    "d_deconv2": 48,
    "d_deconv1": 24,
}
# The layers that read a flow last: the upsampling of flow, and the readers of cat5 .. cat1.
_READ_FLOW = {
    *(f"up{n}to{n - 1}" for n in range(2, 7)),
    *("flow5", "flow4", "flow3", "flow2"),
    *("deconv4", "deconv3", "deconv2", "deconv1"),
    *("rnn3.rnnw", "rnn2.rnnw", "rnn1.rnnw"),
}


def import_model(path: Path) -> Network:
    """Read a released ``.caffemodel`` file.

    Raises:
        UserError: the file is missing, damaged, or the model of another network; it names the first
            layer that differs.
    """
    blobs = caffemodel.read(path)
    network: Network = weights.build(CONFIG, path)
    state: dict[str, Tensor] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kernel, bias = _parameters(name.partition(".")[2], layer, blobs, path)
            state |= {f"{name}.weight": kernel, f"{name}.bias": bias}
    network.load_state_dict(state)
    return network.eval()


def _parameters(
    name: str, layer: nn.Conv2d | nn.ConvTranspose2d, blobs: Mapping[str, list[Blob]], path: Path
) -> tuple[Tensor, Tensor]:
    """Return kernel and bias of a layer, in our order."""
    caffe_name = _CAFFE_NAMES.get(name, name)
    found = blobs.get(caffe_name, [])
    if not found:
        raise UserError(
            f"{path}: no weights of the layer {caffe_name}; this is not the released model"
        )
    inputs, outputs = _inputs(name, layer.in_channels), _outputs(name, layer.out_channels)
    # Caffe and PyTorch agree that a convolution's outputs come first, a deconvolution's inputs.
    first, second = (outputs, inputs) if isinstance(layer, nn.Conv2d) else (inputs, outputs)
    kernel = _values(found[0], layer.weight, caffe_name, path).mT[first][:, second]
    if len(found) == 1:  # bias_term: false
        return kernel, torch.zeros(layer.out_channels)
    assert layer.bias is not None
    return kernel, _values(found[1], layer.bias, caffe_name, path)[outputs]


def _inputs(name: str, count: int) -> list[int]:
    """Caffe's input channel for each of ours."""
    channels = list(range(count))
    if name in _READ_STATES:
        size = _READ_STATES[name]
        return _in_blocks(_STATE_BLOCKS, size) + channels[4 * size :]
    if name in _READ_FLOW:
        return [*channels[:-2], count - 1, count - 2]
    return channels


def _outputs(name: str, count: int) -> list[int]:
    """Caffe's output channel for each of ours."""
    if name.endswith("rnnw"):
        return _in_blocks(_WEIGHT_BLOCKS, count // 4)
    return [1, 0] if name.startswith(("flow", "up")) else list(range(count))


def _in_blocks(order: tuple[int, ...], size: int) -> list[int]:
    return [size * block + channel for block in order for channel in range(size)]


def _values(blob: Blob, like: Tensor, name: str, path: Path) -> Tensor:
    """Return a blob's values in the shape of our parameter, once they are known to fit."""
    if blob.shape != like.shape or blob.values.size != like.numel():
        here, there = ("x".join(map(str, shape)) for shape in (like.shape, blob.shape))
        raise UserError(
            f"{path}: the layer {name} has a blob of {there} ({blob.values.size} values) where the "
            f"released model has {here}; this is not the released model"
        )
    if not np.isfinite(blob.values).all():
        raise UserError(
            f"{path}: the layer {name} holds values that are no numbers; fetch it again"
        )
    return torch.from_numpy(blob.values.astype(np.float32)).reshape(like.shape)
