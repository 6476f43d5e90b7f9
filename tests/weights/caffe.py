"""The released network as Caffe runs it: its layers, its file, and an executor of its own.

Independent of the package: layers and orders are written down as the released definition has them,
files are written by the protobuf library, and the network is computed in float64 on transposed
images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# By name: kind, outputs, inputs, and the side of the kernel.
LAYERS = {
    "conv1": ("conv", 24, 6, 7),
    "conv2": ("conv", 48, 24, 5),
    "conv3": ("conv", 96, 48, 5),
    "conv3_1": ("conv", 96, 96, 3),
    "conv4": ("conv", 192, 96, 3),
    "conv4_1": ("conv", 192, 192, 3),
    "conv5": ("conv", 192, 192, 3),
    "conv5_1": ("conv", 192, 192, 3),
    "conv6": ("conv", 384, 192, 3),
    "conv6_1": ("conv", 384, 384, 3),
    "predict_conv6": ("conv", 2, 384, 3),
    "deconv5": ("deconv", 192, 384, 4),
    "upsample_flow6to5": ("deconv", 2, 2, 4),
    "predict_conv5": ("conv", 2, 386, 3),
    "deconv4": ("deconv", 96, 386, 4),
    "upsample_flow5to4": ("deconv", 2, 2, 4),
    "predict_conv4": ("conv", 2, 290, 3),
    "deconv3": ("deconv", 48, 290, 4),
    "upsample_flow4to3": ("deconv", 2, 2, 4),
    "predict_conv3": ("conv", 2, 146, 3),
    "deconv2": ("deconv", 24, 146, 4),
    "upsample_flow3to2": ("deconv", 2, 2, 4),
    "predict_conv2": ("conv", 2, 74, 3),
    "deconv1": ("deconv", 12, 74, 4),
    "upsample_flow2to1": ("deconv", 2, 2, 4),
    "conv_rnnw4": ("conv", 384, 146, 3),
    "conv_rnnw3": ("conv", 192, 74, 3),
    "conv_rnnw2": ("conv", 96, 38, 3),
    "conv_rnne_1": ("conv", 24, 3, 5),
    "conv_rnne_2": ("conv", 48, 96, 5),
    "conv_rnne_3": ("conv", 96, 192, 5),
    "conv_rnne_4": ("conv", 96, 384, 5),
    "conv_rnne_4_1": ("conv", 48, 96, 5),
    "conv_rnnd_4": ("deconv", 48, 432, 4),
    "conv_rnnd_4_1": ("conv", 48, 48, 5),
    "conv_rnnd_3": ("deconv", 24, 240, 4),
    "conv_rnnd_3_1": ("conv", 24, 24, 5),
    "conv_rnnd_2": ("deconv", 12, 120, 4),
    "conv_rnnd_2_1": ("conv", 12, 12, 5),
    "conv_rnnd_1": ("conv", 3, 15, 5),
}
STRIDED = {"conv1", "conv2", "conv3", "conv4", "conv5", "conv6"} | {
    f"conv_rnne_{n}" for n in (1, 2, 3)
}


def random_blobs(seed):
    """Kernel and bias of every layer, of a size at which activations neither vanish nor explode."""
    generator = torch.Generator().manual_seed(seed)
    blobs = {}
    for name, (kind, outputs, inputs, kernel) in LAYERS.items():
        shape = (outputs, inputs) if kind == "conv" else (inputs, outputs)
        taps = inputs * kernel**2 / (1 if kind == "conv" else 4)
        weight = torch.randn(*shape, kernel, kernel, generator=generator) * (1.5 / taps) ** 0.5
        blobs[name] = [weight, torch.randn(outputs, generator=generator) * 0.1]
    return blobs


def execute(blobs, first, second):
    """Restore images (B, 3, H, W), sides multiples of 64.

    Returns:
        The restored image and predict_conv2, (dx, dy), both turned back to the images' sense.
    """
    b1, b2 = (image.double().transpose(2, 3) for image in (first, second))

    def layer(name, *bottoms):
        bottom = torch.cat(bottoms, 1)
        weight, bias = (blob.double() for blob in blobs[name])
        if LAYERS[name][0] == "deconv":
            return F.conv_transpose2d(bottom, weight, bias, stride=2, padding=1)
        stride = 2 if name in STRIDED else 1
        return F.conv2d(bottom, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    def relu(x):
        return torch.where(x > 0, x, 0.1 * x)

    def recurrent(features, gate, horizontal, reverse):
        """GateRecurrent: h = g (h - x) + x along a line, from zero."""
        dim = 3 if horizontal else 2
        order = range(features.shape[dim])
        state = torch.zeros_like(features.select(dim, 0))
        states = {}
        for t in reversed(order) if reverse else order:
            x, g = features.select(dim, t), gate.select(dim, t)
            state = states[t] = g * (state - x) + x
        return torch.stack([states[t] for t in order], dim)

    def four_rnns(features, weights):
        gates = torch.tanh(weights).split(features.shape[1], dim=1)  # sliced as l>r, t>b, r>l, b>t
        left_right = recurrent(features, gates[0], horizontal=True, reverse=False)
        top_bottom = recurrent(features, gates[1], horizontal=False, reverse=False)
        right_left = recurrent(features, gates[2], horizontal=True, reverse=True)
        bottom_top = recurrent(features, gates[3], horizontal=False, reverse=True)
        return torch.cat((left_right, right_left, top_bottom, bottom_top), 1)

    conv1 = relu(layer("conv1", b1, b2))
    conv2 = relu(layer("conv2", conv1))
    skips = {1: conv1, 2: conv2}
    x = conv2
    for n in (3, 4, 5, 6):
        x = skips[n] = relu(layer(f"conv{n}_1", relu(layer(f"conv{n}", x))))
    concat, flow = x, layer("predict_conv6", x)
    concats = {}
    for n in (5, 4, 3, 2, 1):
        up = layer(f"upsample_flow{n + 1}to{n}", flow)
        concat = concats[n] = torch.cat((skips[n], relu(layer(f"deconv{n}", concat)), up), 1)
        if n > 1:
            flow = layer(f"predict_conv{n}", concat)

    rnn1 = four_rnns(layer("conv_rnne_1", b1), layer("conv_rnnw2", concats[1]))
    rnn2 = four_rnns(layer("conv_rnne_2", rnn1), layer("conv_rnnw3", concats[2]))
    rnn3 = four_rnns(layer("conv_rnne_3", rnn2), layer("conv_rnnw4", concats[3]))
    x = relu(layer("conv_rnne_4_1", relu(layer("conv_rnne_4", rnn3))))
    for n, rnn in ((4, rnn3), (3, rnn2), (2, rnn1)):
        x = relu(layer(f"conv_rnnd_{n}_1", relu(layer(f"conv_rnnd_{n}", rnn, x))))
    restored = layer("conv_rnnd_1", b1, x)
    return restored.transpose(2, 3), flow.transpose(2, 3).flip(1)


def _messages():
    """The part of caffe.proto that models are made of, and a few fields that readers must skip."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="caffe", syntax="proto2")

    def message(name, *fields):
        described = file.message_type.add(name=name)
        for number, label, kind, field_name, type_name in fields:
            added = described.field.add(
                name=field_name, number=number, label=label, type=kind, type_name=type_name
            )
            if label == field.LABEL_REPEATED and not type_name and kind != field.TYPE_STRING:
                added.options.packed = True

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    message("BlobShape", (1, many, field.TYPE_INT64, "dim", None))
    message(
        "BlobProto",
        (5, many, field.TYPE_FLOAT, "data", None),
        (6, many, field.TYPE_FLOAT, "diff", None),
        (7, one, field.TYPE_MESSAGE, "shape", ".caffe.BlobShape"),
    )
    message("ParamSpec", (3, one, field.TYPE_FLOAT, "lr_mult", None))
    message(
        "LayerParameter",
        (1, one, field.TYPE_STRING, "name", None),
        (2, one, field.TYPE_STRING, "type", None),
        (3, many, field.TYPE_STRING, "bottom", None),
        (6, many, field.TYPE_MESSAGE, "param", ".caffe.ParamSpec"),
        (7, many, field.TYPE_MESSAGE, "blobs", ".caffe.BlobProto"),
        (10, one, field.TYPE_INT32, "phase", None),
    )
    message(
        "NetParameter",
        (1, one, field.TYPE_STRING, "name", None),
        (5, one, field.TYPE_BOOL, "force_backward", None),
        (100, many, field.TYPE_MESSAGE, "layer", ".caffe.LayerParameter"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("caffe.NetParameter")
    return message_factory.GetMessageClass(found)


NetParameter = _messages()


def encode(blobs):
    """The bytes of a .caffemodel file."""
    net = NetParameter(name="deblur", force_backward=True)
    net.layer.add(name="input", type="Data", phase=1)
    for name, arrays in blobs.items():
        layer = net.layer.add(name=name, type="Convolution", bottom=["below"])
        layer.param.add(lr_mult=2.0)
        for array in arrays:
            blob = layer.blobs.add()
            blob.data.extend(array.flatten().tolist())
            blob.shape.dim.extend(array.shape)
    return net.SerializeToString()
