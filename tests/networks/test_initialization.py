from __future__ import annotations

import math

import pytest
import torch
from tests.composition import MODELS, make_model

from flowdeblur.networks.initialization import NearIdentity, layers, released_code, xavier

SCHEMES = {"xavier": xavier, "released_code": released_code, "near_identity": NearIdentity()}


def initialised(scheme, name="proposed", seed=0, **overrides):
    network = make_model(name, **overrides)
    SCHEMES[scheme](network, torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", MODELS)
def test_weights_depend_only_on_the_seed(scheme, name):
    torch.manual_seed(1)
    first = initialised(scheme, name, width=4)
    torch.manual_seed(2)
    second, other = (initialised(scheme, name, seed, width=4) for seed in (0, 1))
    for (key, one), two, three in zip(
        first.named_parameters(), second.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(one, two), key
        assert key.endswith("bias") or not torch.equal(one, three), key


@pytest.mark.parametrize("scheme", SCHEMES)
def test_biases_start_at_zero(scheme):
    for key, parameter in initialised(scheme).named_parameters():
        if key.endswith("bias"):
            assert parameter.abs().max() == 0, key


def weight_statistics(network, name):
    weight = dict(network.named_parameters())[f"{name}.weight"]
    return weight.std().item(), weight.abs().max().item(), weight[0].numel()


@pytest.mark.parametrize(
    ("name", "filler"),
    [
        ("flow_subnet.conv5_1", "msra"),
        ("flow_subnet.deconv5", "msra"),
        ("deblurring_subnet.d_deconv3", "msra"),
        ("deblurring_subnet.d_conv3_2", "msra"),
        ("deblurring_subnet.rnn3.rnnw", "xavier"),
        ("deblurring_subnet.d_conv3", "xavier"),
        ("deblurring_subnet.d_conv0", "xavier"),
    ],
)
def test_caffes_fillers(name, filler):
    std, largest, fan_in = weight_statistics(initialised("released_code"), name)
    if filler == "msra":
        assert std == pytest.approx(math.sqrt(2 / fan_in), rel=0.05)
        assert largest > 3 * std
    else:
        assert largest <= math.sqrt(3 / fan_in)
        assert largest == pytest.approx(math.sqrt(3 / fan_in), rel=0.01)


def test_xavier_bounds():
    network = initialised("xavier")
    for name, layer in layers(network):
        taps = math.prod(layer.kernel_size)
        bound = math.sqrt(6 / (taps * (layer.in_channels + layer.out_channels)))
        assert layer.weight.abs().max() <= bound, name


@pytest.mark.parametrize("name", MODELS)
def test_near_identity_restores_about_what_it_reads(name):
    network = initialised("near_identity", name)
    frames = torch.rand(1, len(network.frame_offsets), 3, 64, 64)
    frames = torch.nn.functional.avg_pool2d(frames.flatten(0, 1), 5, 1, 2).view_as(frames)
    with torch.inference_mode():
        restoration = network(frames)
    current = frames[:, network.frame_offsets.index(0)]
    assert (restoration.restored - current).square().mean().sqrt() < 0.1
    for weights in restoration.rnn_weights:
        assert weights.abs().mean() < 0.2


def test_near_identity_hands_on_contrast_of_variance_one():
    network = initialised("near_identity")
    image = 0.5 + 0.2 * torch.randn(4, 3, 64, 64)
    with torch.inference_mode():
        features = network.deblurring_subnet.d_conv1(image)[..., 4:-4, 4:-4]
        brighter = network.deblurring_subnet.d_conv1(image + 0.3)[..., 4:-4, 4:-4]
    assert features.std().item() == pytest.approx(1, rel=0.2)
    assert torch.allclose(features, brighter, atol=1e-4)
