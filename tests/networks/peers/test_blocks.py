"""Blocks whose arithmetic is unusual, against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from flowdeblur.networks import OVD, DeblurGAN
from flowdeblur.networks.peers import dbcpenet, estrnn
from flowdeblur.networks.peers.nafnet import ChannelNorm, Mean, gate
from flowdeblur.networks.peers.peer import ResidualBlock, pyramid
from flowdeblur.networks.peers.srn import ConvLSTM


def passing(layer):
    """Make a convolution of one-pixel images sum its input channels."""
    nn.init.zeros_(layer.bias)
    nn.init.zeros_(layer.weight)
    middle = layer.kernel_size[0] // 2
    layer.weight.detach()[:, :, middle, middle] = 1


def constant(layer, values):
    nn.init.zeros_(layer.weight)
    layer.bias.detach().copy_(torch.tensor(values))


def pixel(value, channels=1):
    return torch.full((1, channels, 1, 1), value)


def test_gate_multiplies_halves():
    assert gate(torch.tensor([2.0, 3.0, 5.0, 7.0]).view(1, 4, 1, 1)).flatten().tolist() == [10, 21]


def test_channel_norm_is_of_a_pixel():
    x = torch.tensor([[1.0, 10.0], [3.0, 30.0]]).view(1, 2, 1, 2)
    assert ChannelNorm(2)(x).flatten().tolist() == pytest.approx([-1, -1, 1, 1], abs=1e-5)


def test_local_means_of_whole_windows():
    image = torch.tensor([[[[0.0, 2.0, 4.0, 12.0]] * 2]])
    local = Mean(window=2).eval()(image)
    # Windows have the means 1, 3, 8; the border repeats the nearest.
    assert local[0, 0].tolist() == [[1, 3, 8, 8]] * 2
    assert Mean(window=2).train()(image).flatten().tolist() == [4.5]
    assert Mean(window=4).eval()(image).flatten().tolist() == [4.5]


def test_forget_gate_has_one_added_and_the_hidden_state_is_gated():
    cell = ConvLSTM(1)
    constant(cell.gates, [0.0, math.atanh(0.5), 0.0, 0.0])  # i, j, f, o
    hidden, state = cell(pixel(0.3), (pixel(0.7), pixel(0.4)))
    forget = 1 / (1 + math.exp(-1))
    assert state.item() == pytest.approx(0.4 * forget + 0.5 * 0.5)
    assert hidden.item() == pytest.approx(0.5 * math.tanh(state.item()))


def test_dense_block_appends_and_adds():
    block = estrnn.DenseBlock(1, 1)
    for layer in (*block.convs, block.last):
        passing(layer)
    gelu = [1.0]  # the input, then what each convolution appends
    for _ in range(3):
        total = sum(gelu)
        gelu.append(total * (1 + math.erf(total / math.sqrt(2))) / 2)
    assert block(pixel(1.0)).item() == pytest.approx(sum(gelu) + 1, rel=1e-6)


def test_fusion_puts_the_current_frame_last_and_weights_the_pair():
    fusion = estrnn.Fusion(1)
    for layer in (*fusion.mixing, fusion.condense):
        passing(layer)
    constant(fusion.attention[2], [0.0, math.log(3)])  # sigmoid: 1/2 and 3/4
    nn.init.zeros_(fusion.last.bias)
    fusion.last.weight.detach().copy_(torch.eye(5).view(5, 5, 1, 1))
    fused = fusion([pixel(value) for value in (1.0, 2.0, 5.0, 3.0, 4.0)])
    # A pair of sum s becomes 4 s in both channels, (1/2 + 3/4) 4 s in all.
    assert fused.flatten().tolist() == pytest.approx([5 * (5 + v) for v in (1, 2, 3, 4)] + [5])


def test_three_residuals_inside_a_residual():
    block = dbcpenet.Block(1)
    for layer in (*block.first, *block.second, block.last):
        passing(layer)
    for slope in block.slopes:
        nn.init.constant_(slope.weight, 0.5)
    assert block(pixel(-1.0)).item() == pytest.approx(-(1.5**3) - 1)
    assert block(pixel(1.0)).item() == pytest.approx(2.0**3 + 1)


def test_nothing_follows_the_sum_of_a_residual_block():
    block = ResidualBlock(1)
    passing(block.conv1)
    constant(block.conv2, [-3.0])
    assert block(pixel(1.0)).item() == -2


def test_blending_weighs_features_and_state():
    network = OVD(width=2)
    nn.init.constant_(network.beta, 0.25)
    constant(network.blending, [0.0, math.atanh(0.5)])  # w = 0.25 and 0.75
    for block in (*network.encoder, *network.decoder):
        constant(block.body[3], [0.0, 0.0])
    constant(network.down, [1.0])
    constant(network.head, [0.0, 0.0])
    state = torch.full((1, 2, 1, 1), 3.0), pixel(5.0)
    decoded, (blended, _) = network._step(torch.rand(1, 15, 2, 2), state)
    assert blended.flatten().tolist() == pytest.approx([0.25 * 1 + 0.75 * 3, 0.75 * 5 + 0.25 * 3])
    assert torch.equal(decoded, blended)


def test_deblurgan_returns_its_input_without_weights():
    network = DeblurGAN(width=4, blocks=1).eval()
    constant(network.model[-1], [0.0, 0.0, 0.0])
    frame = torch.rand(1, 1, 3, 16, 16)
    assert torch.allclose(network(frame).restored, frame[:, 0], atol=1e-6)


def test_pyramid_keeps_brightness_and_halves():
    levels = pyramid(torch.full((1, 3, 16, 24), 0.25), 3)
    assert [tuple(each.shape[-2:]) for each in levels] == [(4, 6), (8, 12), (16, 24)]
    assert all(torch.allclose(each, torch.tensor(0.25)) for each in levels)
    ramp = torch.arange(64.0).expand(1, 1, 8, 64)
    assert pyramid(ramp, 2)[0][0, 0, 0, 8:24].tolist() == pytest.approx(
        [2 * column + 0.5 for column in range(8, 24)], abs=1e-3
    )
