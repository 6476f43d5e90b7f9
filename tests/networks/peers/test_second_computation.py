"""Four peers computed a second time from their layer tables, in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flowdeblur.networks import DBN, SRN, SVRNN, NAFNet

EXACT = 1e-5


class Layers:
    """Weights by name, and the arithmetic of one layer at a time."""

    def __init__(self, network):
        self.state = {name: value.double() for name, value in network.state_dict().items()}

    def conv(self, name, x, stride=1, groups=1, pad=None):
        weight, bias = self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        pad = weight.shape[-1] // 2 if pad is None else pad
        if groups > 1:  # depthwise, as a sum over taps
            x = F.pad(x, (pad,) * 4)
            height, width = x.shape[-2] - 2 * pad, x.shape[-1] - 2 * pad
            taps = [(i, j) for i in range(weight.shape[-2]) for j in range(weight.shape[-1])]
            total = sum(
                weight[None, :, 0, i, j, None, None] * x[..., i : i + height, j : j + width]
                for i, j in taps
            )
            return total + bias[None, :, None, None]
        # As a product of matrices: columns of patches times rows of kernels.
        rows, columns = ((side + 2 * pad - weight.shape[-1]) // stride + 1 for side in x.shape[-2:])
        patches = F.unfold(x, weight.shape[-2:], padding=pad, stride=stride)
        y = torch.einsum("ok,bkl->bol", weight.flatten(1), patches).unflatten(2, (rows, columns))
        return y if bias is None else y + bias[None, :, None, None]

    def transposed(self, name, x):
        """4x4, stride 2, pad 1: a convolution of the zero-stuffed input by the turned kernel."""
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        batch, channels, height, width = x.shape
        stuffed = x.new_zeros(batch, channels, 2 * height - 1, 2 * width - 1)
        stuffed[..., ::2, ::2] = x
        turned = weight.flip(2, 3).transpose(0, 1)
        return F.conv2d(F.pad(stuffed, (2, 2, 2, 2)), turned, bias)

    def batch_norm(self, name, x):
        mean, variance, scale, shift = (
            self.state[f"{name}.{key}"][None, :, None, None]
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-3).sqrt() * scale + shift


def frames_for(count, height, width):
    return torch.rand(1, count, 3, height, width, generator=torch.Generator().manual_seed(2))


def lrelu(x):
    return torch.where(x > 0, x, 0.1 * x)


def recurrent(x, weights):
    """Eq. 13 of the paper, one pixel after the other."""
    x, weights = x[0].numpy(), weights[0].numpy()
    count, height, width = x.shape
    out = np.zeros((4 * count, height, width))
    for direction in range(4):
        block = slice(direction * count, (direction + 1) * count)
        w, h = weights[block], np.zeros_like(x)
        lines = range(width if direction < 2 else height)
        before = None
        for t in lines if direction % 2 == 0 else reversed(lines):
            at = np.s_[:, :, t] if direction < 2 else np.s_[:, t, :]
            previous = 0 if before is None else h[before]
            h[at] = (1 - w[at]) * x[at] + w[at] * previous
            before = at
        out[block] = h
    return torch.from_numpy(out)[None]


def shuffle(x):
    """Pixel shuffle by 2: channel 4 c + 2 i + j becomes pixel (i, j) of channel c."""
    batch, channels, height, width = x.shape
    out = x.new_zeros(batch, channels // 4, 2 * height, 2 * width)
    for i in range(2):
        for j in range(2):
            out[:, :, i::2, j::2] = x[:, 2 * i + j :: 4]
    return out


def up(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def compute(network, frames):
    with torch.inference_mode():
        return network.eval()(frames)


def test_svrnn():
    torch.manual_seed(0)
    network, frames = SVRNN(width=2), frames_for(1, 16, 24)
    net, frame = Layers(network), frames[:, 0].double()

    def vgg(name, x, first=0, last=9):
        for index in range(first, last):
            if f"{name}.{index}.weight" in net.state:
                x = net.conv(f"{name}.{index}", x).relu()
        return x

    t2 = vgg("g2", F.max_pool2d(vgg("g1", frame), 2))
    t3 = vgg("g3", F.max_pool2d(t2, 2), last=2)
    g4 = vgg("g4", F.max_pool2d(vgg("g3", t3, first=2), 2))
    k2 = net.conv("k2", net.conv("k1", torch.cat((t3, up(g4)), 1)).relu()).relu()
    k4 = net.conv("k4", net.conv("k3", torch.cat((t2, up(k2)), 1)).relu()).tanh()
    f1 = lrelu(net.conv("f1", frame))
    f2 = x = net.conv("f2", f1, stride=2)
    for group in range(4):
        x = recurrent(x, k4[:, 16 * group : 16 * (group + 1)])
        x = lrelu(net.conv(f"fusions.{group}", x))
    r1 = lrelu(net.conv("r1", torch.cat((f2, x), 1)))
    expected = net.conv("r2", torch.cat((f1, up(r1)), 1))
    assert (compute(network, frames).restored - expected).abs().max() < EXACT


def test_nafnet():
    torch.manual_seed(0)
    options = {"encoder_blocks": (1, 2), "decoder_blocks": (1, 1), "middle_blocks": 1}
    network, frames = NAFNet(width=4, **options), frames_for(1, 16, 24)
    for name, value in network.named_parameters():
        if name.endswith(("beta", "gamma", "norm1.weight", "norm1.bias", "norm2.bias")):
            torch.nn.init.normal_(value)
    net, frame = Layers(network), frames[:, 0].double()

    def norm(name, x):
        centred = x - x.mean(1, keepdim=True)
        normal = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        scale, shift = net.state[f"{name}.weight"], net.state[f"{name}.bias"]
        return normal * scale[:, None, None] + shift[:, None, None]

    def gated(x):
        return x[:, : x.shape[1] // 2] * x[:, x.shape[1] // 2 :]

    def block(name, x):
        y = net.conv(f"{name}.conv1", norm(f"{name}.norm1", x))
        y = gated(net.conv(f"{name}.conv2", y, groups=y.shape[1]))
        y = y * net.conv(f"{name}.sca.1", y.mean((2, 3), keepdim=True))
        x = x + net.state[f"{name}.beta"] * net.conv(f"{name}.conv3", y)
        y = gated(net.conv(f"{name}.conv4", norm(f"{name}.norm2", x)))
        return x + net.state[f"{name}.gamma"] * net.conv(f"{name}.conv5", y)

    e1 = block("encoders.0.0", net.conv("intro", frame))
    e2 = block("encoders.1.1", block("encoders.1.0", net.conv("downs.0", e1, stride=2, pad=0)))
    x = block("middle_blks.0", net.conv("downs.1", e2, stride=2, pad=0))
    x = block("decoders.0.0", shuffle(net.conv("ups.0.0", x)) + e2)
    x = block("decoders.1.0", shuffle(net.conv("ups.1.0", x)) + e1)
    expected = net.conv("ending", x) + frame
    # Products of random gates reach hundreds: relative to the largest value.
    error = (compute(network, frames).restored - expected).abs().max()
    assert error < EXACT * max(1, expected.abs().max())


def test_dbn():
    torch.manual_seed(0)
    network, frames = DBN(width=4), frames_for(5, 16, 24)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.normal_(module.bias, 0, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.2, 0.5)
    net, stacked = Layers(network), frames.double().flatten(1, 2)

    def layer(name, x, stride=1):
        return net.batch_norm(f"{name}.1", net.conv(f"{name}.0", x, stride)).relu()

    def doubled(name, x, skip):
        return (net.batch_norm(f"{name}.1", net.transposed(f"{name}.0", x)) + skip).relu()

    f0 = layer("f0", stacked)
    f2 = layer("down1.2.0", layer("down1.1.0", layer("down1.0.0", f0, 2)))
    x = layer("down2.0.0", f2, 2)
    f5 = layer("down2.3.0", layer("down2.2.0", layer("down2.1.0", x)))
    x = layer("down3.0.0", f5, 2)
    x = layer("down3.3.0", layer("down3.2.0", layer("down3.1.0", x)))
    x = doubled("up1", x, f5)
    x = layer("after1.2.0", layer("after1.1.0", layer("after1.0.0", x)))
    x = doubled("up2", x, f2)
    x = layer("after2.1.0", layer("after2.0.0", x))
    x = layer("after3.0.0", doubled("up3", x, f0))
    expected = net.batch_norm("last.1", net.conv("last.0", x)) + stacked[:, 6:9]
    error = (compute(network, frames).restored - expected).abs().max()
    assert error < EXACT * max(1, expected.abs().max())


def test_srn():
    torch.manual_seed(0)
    network, frames = SRN(width=4), frames_for(1, 32, 48)
    net, frame = Layers(network), frames[:, 0].double()

    def blocks(name, x, first):
        for index in range(first, first + 3):
            y = net.conv(f"{name}.{index}.conv1", x).relu()
            x = x + net.conv(f"{name}.{index}.conv2", y)
        return x

    def sigmoid(x):
        return 1 / (1 + (-x).exp())

    def shrunk(scale):
        size = (32 // scale, 48 // scale)
        mode = {"mode": "bicubic", "antialias": True, "align_corners": False}
        return F.interpolate(frame, size, **mode)

    predictions = []
    hidden = cell = torch.zeros(1, 16, 2, 3, dtype=torch.float64)
    for blurred in (shrunk(4), shrunk(2), frame):
        previous = up(predictions[-1]) if predictions else blurred
        e1 = blocks("e1", net.conv("e1.0", torch.cat((blurred, previous), 1)).relu(), 2)
        e2 = blocks("e2", net.conv("e2.0", e1, stride=2).relu(), 2)
        e3 = blocks("e3", net.conv("e3.0", e2, stride=2).relu(), 2)
        if predictions:
            hidden, cell = up(hidden), up(cell)
        i, j, f, o = net.conv("lstm.gates", torch.cat((e3, hidden), 1)).split(16, 1)
        cell = cell * sigmoid(f + 1) + sigmoid(i) * j.tanh()
        hidden = cell.tanh() * sigmoid(o)
        d3 = net.transposed("up3", blocks("d3", hidden, 0)).relu() + e2
        d2 = net.transposed("up2", blocks("d2", d3, 0)).relu() + e1
        predictions.append(net.conv("last", blocks("d1", d2, 0)))
    output = compute(network, frames)
    for ours, expected in zip((*output.coarse, output.restored), predictions, strict=True):
        assert (ours - expected).abs().max() < EXACT


def test_the_prediction_that_srn_hands_on_carries_no_gradient():
    network = SRN(width=4)
    coarsest = network(frames_for(1, 32, 32).requires_grad_()).coarse[0]
    coarsest.retain_grad()
    network(frames_for(1, 32, 32)).restored.sum().backward()
    assert coarsest.grad is None


def test_broken_tables_are_noticed():
    """The comparison above is sharp: a transposition error of one layer exceeds its bound."""
    torch.manual_seed(0)
    network, frames = SRN(width=4), frames_for(1, 32, 32)
    before = compute(network, frames).restored
    network.lstm.gates.bias.detach()[8:12] += 1  # the forget gate's
    assert (compute(network, frames).restored - before).abs().max() > EXACT
    with pytest.raises(ValueError, match="expected frames"):
        network(frames[:, 0])
