from __future__ import annotations

import math

import pytest
import torch
from tests.composition import MODELS, make_model

from flowdeblur.networks import FlowGuidedDeblurring
from flowdeblur.networks.flow_guided import at_full_size
from flowdeblur.types import Restoration

PARAMETERS = {
    "proposed": 8_281_696,
    "small": 932_784,
    "bidirectional": 8_327_388,
    "without_rnns": 725_280,
    "concat_rnn_weights": 8_115_208,
    "without_flow": 8_278_168,
    "rnns_in_decoder": 7_504_096,
}

# Table I: kind, kernel, stride, inputs, outputs of every layer of the proposed network.
TABLE = """
flow_subnet.conv1     conv   7 2    6  24
flow_subnet.conv2     conv   5 2   24  48
flow_subnet.conv3     conv   5 2   48  96
flow_subnet.conv3_1   conv   3 1   96  96
flow_subnet.conv4     conv   3 2   96 192
flow_subnet.conv4_1   conv   3 1  192 192
flow_subnet.conv5     conv   3 2  192 192
flow_subnet.conv5_1   conv   3 1  192 192
flow_subnet.conv6     conv   3 2  192 384
flow_subnet.conv6_1   conv   3 1  384 384
flow_subnet.flow6     conv   3 1  384   2
flow_subnet.flow5     conv   3 1  386   2
flow_subnet.flow4     conv   3 1  290   2
flow_subnet.flow3     conv   3 1  146   2
flow_subnet.flow2     conv   3 1   74   2
flow_subnet.deconv5   deconv 4 2  384 192
flow_subnet.deconv4   deconv 4 2  386  96
flow_subnet.deconv3   deconv 4 2  290  48
flow_subnet.deconv2   deconv 4 2  146  24
flow_subnet.deconv1   deconv 4 2   74  12
flow_subnet.up6to5    deconv 4 2    2   2
flow_subnet.up5to4    deconv 4 2    2   2
flow_subnet.up4to3    deconv 4 2    2   2
flow_subnet.up3to2    deconv 4 2    2   2
flow_subnet.up2to1    deconv 4 2    2   2
deblurring_subnet.rnn3.rnnw   conv 3 1 146 384
deblurring_subnet.rnn2.rnnw   conv 3 1  74 192
deblurring_subnet.rnn1.rnnw   conv 3 1  38  96
deblurring_subnet.d_conv1     conv 5 2    3  24
deblurring_subnet.d_conv2     conv 5 2   96  48
deblurring_subnet.d_conv3     conv 5 2  192  96
deblurring_subnet.d_conv3_2   conv 5 1  384  96
deblurring_subnet.d_conv3_3   conv 5 1   96  48
deblurring_subnet.d_deconv3   deconv 4 2 432 48
deblurring_subnet.d_deconv3_1 conv 5 1   48  48
deblurring_subnet.d_deconv2   deconv 4 2 240 24
deblurring_subnet.d_deconv2_1 conv 5 1   24  24
deblurring_subnet.d_deconv1   deconv 4 2 120 12
deblurring_subnet.d_deconv1_1 conv 5 1   12  12
deblurring_subnet.d_conv0     conv 5 1   15   3
"""

# Where each row of Table IV may differ from the proposed network: the layers whose weights have
# another shape or are gone. (Bidirectional: whatever touches a flow.)
DIFFERENCES = {
    "without_flow": {"flow_subnet.conv1"},
    "concat_rnn_weights": {f"deblurring_subnet.rnn{level}.rnnw" for level in (1, 2, 3)},
    "rnns_in_decoder": {
        f"deblurring_subnet.{name}" for name in ("d_conv2", "d_conv3", "d_conv3_2", "d_conv3_3")
    },
}


def shapes(network: FlowGuidedDeblurring) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


def frames_for(network: FlowGuidedDeblurring, height: int = 64, width: int = 64, batch: int = 1):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, len(network.frame_offsets), 3, height, width, generator=generator)


@pytest.mark.parametrize("name", MODELS)
def test_parameter_count(name):
    assert sum(each.numel() for each in make_model(name).parameters()) == PARAMETERS[name]


def test_parameter_count_by_part():
    parts = {"flow": 0, "rnnw": 0, "deblurring": 0}
    for name, parameter in make_model("proposed").named_parameters():
        part = "rnnw" if "rnnw" in name else name.partition("_subnet")[0]
        parts[part] += parameter.numel()
    assert parts == {"flow": 5_476_960, "rnnw": 665_952, "deblurring": 2_138_784}


def test_layers_are_those_of_table_1():
    network = make_model("proposed")
    rows = [line.split() for line in TABLE.strip().splitlines()]
    modules = dict(network.named_modules())
    for name, kind, kernel, stride, inputs, outputs in rows:
        layer = modules[name]
        assert isinstance(layer, torch.nn.Conv2d if kind == "conv" else torch.nn.ConvTranspose2d), (
            name
        )
        assert layer.kernel_size == (int(kernel),) * 2, name
        assert layer.stride == (int(stride),) * 2, name
        assert (layer.in_channels, layer.out_channels) == (int(inputs), int(outputs)), name
        assert layer.padding == ((int(kernel) // 2,) * 2 if kind == "conv" else (1, 1)), name
        assert layer.bias is not None, name
    weighted = {
        name
        for name, module in modules.items()
        if isinstance(module, torch.nn.modules.conv._ConvNd)
    }
    assert weighted == {row[0] for row in rows}


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_variant_differs_where_table_4_says(name):
    ours, theirs = shapes(make_model("proposed")), shapes(make_model(name))
    different = {
        key.rpartition(".")[0] for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)
    }
    assert different == DIFFERENCES[name]


def test_bidirectional_differs_where_flows_pass():
    ours, theirs = shapes(make_model("proposed")), shapes(make_model("bidirectional"))
    assert ours.keys() == theirs.keys()
    for key, shape in ours.items():
        layer = key.split(".")[-2]
        reads_flow = layer.startswith(("flow", "up")) or layer in {
            "conv1", "deconv4", "deconv3", "deconv2", "deconv1", "rnnw",
        }  # fmt: skip
        is_bias = key.endswith("bias")
        writes_flow = layer.startswith(("flow", "up"))
        assert (theirs[key] != shape) == (writes_flow if is_bias else reads_flow), key


def test_without_rnns_is_the_plain_unet():
    network = make_model("without_rnns")
    assert network.flow_subnet is None
    assert {name.partition(".")[0] for name, _ in network.named_parameters()} == {
        "deblurring_subnet"
    }
    assert network.deblurring_subnet.d_conv2.in_channels == 24
    assert network.deblurring_subnet.d_deconv3.in_channels == 96 + 48


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [(1, 1), (63, 65), (70, 30), (64, 128)])
def test_any_size_comes_back(name, size):
    network = make_model(name, width=4)
    with torch.inference_mode():
        restoration = network(frames_for(network, *size))
    assert isinstance(restoration, Restoration)
    assert restoration.restored.shape == (1, 3, *size)
    assert len(restoration.flows) == (5 if network.flow_offsets else 0)
    padded = [-(-each // 64) * 64 for each in size]
    for level, flow in enumerate(restoration.flows):
        scale = 64 >> level
        assert flow.shape == (
            1,
            2 * len(network.flow_offsets),
            padded[0] // scale,
            padded[1] // scale,
        )
    for level, weights in enumerate(restoration.rnn_weights):
        scale, channels = 8 >> level, 4 * 4 * (4 >> level)
        assert weights.shape == (1, channels, padded[0] // scale, padded[1] // scale)
        assert weights.abs().max() < 1


def test_padding_follows_the_configuration():
    image = torch.rand(1, 2, 3, 40, 50)
    with torch.inference_mode():
        replicate, zeros = (
            make_model("proposed", width=4),
            make_model("proposed", width=4, padding="constant"),
        )
        height = torch.cat((image, image[..., -1:, :].expand(-1, -1, -1, 24, -1)), dim=-2)
        whole = torch.cat((height, height[..., -1:].expand(-1, -1, -1, -1, 14)), dim=-1)
        padded_by_hand = replicate(whole).restored[..., :40, :50]
        assert torch.allclose(replicate(image).restored, padded_by_hand, atol=1e-6)
        dark = torch.zeros(1, 2, 3, 64, 64)
        dark[..., :40, :50] = image
        assert torch.allclose(zeros(image).restored, zeros(dark).restored[..., :40, :50], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_reach_every_parameter(name):
    network = make_model(name)
    restoration = network(frames_for(network, 64, 64))
    (restoration.restored.square().sum() + sum(each.sum() for each in restoration.flows)).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


def test_the_other_frame_matters_only_where_it_is_read():
    network = make_model("proposed", width=4)
    frames = frames_for(network)
    other = frames.clone()
    other[:, 1] = 1 - other[:, 1]
    with torch.inference_mode():
        assert not torch.equal(network(frames).restored, network(other).restored)


def test_rnn_weights_can_be_left_out():
    network = make_model("proposed", width=4)
    with torch.inference_mode():
        kept, left = (network(frames_for(network), keep_rnn_weights=keep) for keep in (True, False))
    assert len(kept.rnn_weights) == 3
    assert left.rnn_weights == ()
    assert torch.equal(kept.restored, left.restored)


@pytest.mark.parametrize("name", ["proposed", "svrnn"])
def test_rnn_weights_do_not_round_to_one_in_bfloat16(name):
    """At a logit of 4, bfloat16 would give 1, whose logit nothing knows."""
    network = make_model(name, width=4)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.constant_(layer.bias, 4)
    with torch.autocast("cpu", torch.bfloat16):
        kept = network(frames_for(network), keep_rnn_weights=True).rnn_weights
    for weights in kept:
        assert weights.mean().item() == pytest.approx(math.tanh(4), abs=1e-5)


def test_predict_flows_gives_the_flows_of_the_whole_network():
    network = make_model("bidirectional", width=4)
    frames = frames_for(network, 70, 90)
    with torch.inference_mode():
        for apart, together in zip(
            network.predict_flows(frames), network(frames).flows, strict=True
        ):
            assert torch.equal(apart, together)


@pytest.mark.parametrize("shape", [(1, 3, 3, 64, 64), (1, 2, 1, 64, 64), (2, 3, 64, 64)])
def test_wrong_frames_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected frames \(B, 2, 3, H, W\)"):
        make_model("proposed", width=4)(torch.rand(shape))


@pytest.mark.parametrize("width", [0, 7, -2])
def test_impossible_width_is_refused(width):
    from flowdeblur.errors import UserError

    with pytest.raises(UserError, match="width must be even"):
        make_model("proposed", width=width)


def test_flow_at_full_size():
    flow = torch.zeros(1, 2, 32, 48)  # of a frame of 100 x 150, padded to 128 x 192, at 1/4
    flow[:, 0], flow[:, 1] = 0.5, -1.0
    full = at_full_size(flow, (100, 150))
    assert full.shape == (1, 2, 100, 150)
    assert full[0, :, 50, 70].tolist() == [2.0, -4.0]
