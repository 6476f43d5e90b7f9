from __future__ import annotations

import functools

import pytest
import torch
from tests.composition import PEERS, compose_config

from flowdeblur import networks, weights
from flowdeblur.engine.configuration import instantiate, plain
from flowdeblur.networks import DBN, ESTRNN, OVD, SRN, SVRNN, DeblurGAN, NAFNet
from flowdeblur.networks.initialization import NearIdentity, own
from flowdeblur.networks.lesions import lesions
from flowdeblur.types import Restoration

PARAMETERS = {
    "svrnn": 9_227_027,
    "nafnet": 17_111_907,
    "nafnet_two_frames": 17_112_771,
    "nafnet_22": 8_148_671,
    "dbn": 15_305_291,
    "srn": 8_061_411,
    "nah": 11_721_321,
    "estrnn": 2_467_931,
    "ovd": 924_036,
    "deblurgan": 11_378_179,
    "dbcpenet": 12_432_231,
}
SMALL = {
    "nafnet": {"encoder_blocks": [1, 1, 1, 2]},
    "nafnet_two_frames": {"encoder_blocks": [1, 1, 1, 2]},
    "nafnet_22": {"encoder_blocks": [1, 1, 1, 2]},
    "nah": {"blocks": 2},
    "estrnn": {"blocks": 2},
    "deblurgan": {"blocks": 2},
    "ovd": {"width": 8},
    "dbcpenet": {"width": 8},
}


@functools.cache
def model_config(name):
    return plain(compose_config(f"model={name}"))["model"]


def small_config(name, **overrides):
    return model_config(name) | {"width": 4} | SMALL.get(name, {}) | overrides


def small(name, **overrides):
    torch.manual_seed(0)
    network = instantiate(small_config(name, **overrides), "model")
    for key, parameter in network.named_parameters():
        if key.endswith(("beta", "gamma")):  # zeros hide all that they multiply
            torch.nn.init.constant_(parameter, 0.5)
    return network


def frames_for(network, height, width, batch=1):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, len(network.frame_offsets), 3, height, width, generator=generator)


@pytest.mark.parametrize("name", PEERS)
def test_parameter_count(name):
    with torch.device("meta"):
        network = instantiate(model_config(name), "model")
    assert model_config(name)["_target_"].rpartition(".")[2] in networks.__all__
    assert sum(each.numel() for each in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(
    ("network", "options", "count"),
    [
        (NAFNet, {"width": 64}, 67_888_835),
        (NAFNet, {"width": 20, "frame_offsets": (0, 1)}, 6_750_363),
        (ESTRNN, {"blocks": 9}, 1_763_387),
        (OVD, {"batch_norm": True}, 926_084),
    ],
)
def test_parameter_count_of_other_published_sizes(network, options, count):
    with torch.device("meta"):
        assert sum(each.numel() for each in network(**options).parameters()) == count


@pytest.mark.parametrize("name", PEERS)
def test_any_size_comes_back(name):
    network = small(name).eval()
    for size in ((1, 1), (19, 13)):
        with torch.inference_mode():
            restoration = network(frames_for(network, *size))
        assert isinstance(restoration, Restoration)
        assert restoration.restored.shape == (1, 3, *size)
        assert restoration.restored.isfinite().all()
        assert restoration.flows == restoration.rnn_weights == ()
    assert network.flow_offsets == ()
    assert network.frame_offsets[network.current_index] == 0


@pytest.mark.parametrize("name", PEERS)
def test_gradients_reach_every_parameter(name):
    network = small(name)
    restoration = network(frames_for(network, 16, 16, batch=2))
    restoration.restored.square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        # What a norm subtracts again has no gradient worth the name.
        if not (name in ("dbn", "deblurgan") and key.endswith("bias")):
            assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", ["dbn", "nafnet_two_frames", "estrnn", "ovd"])
def test_every_frame_matters(name):
    network = small(name).eval()
    frames = frames_for(network, 16, 16)
    with torch.inference_mode():
        whole = network(frames).restored
        for index in range(frames.shape[1]):
            changed = frames.clone()
            changed[:, index] = 1 - changed[:, index]
            assert not torch.equal(network(changed).restored, whole), index


@pytest.mark.parametrize("name", ["svrnn", "nafnet"])
def test_padding_is_that_of_the_configuration(name):
    network = small(name).eval()
    frames = frames_for(network, 14, 21)
    mode = "replicate" if network.padding == "replicate" else "constant"
    multiple = network.stride
    pad = (0, -21 % multiple, 0, -14 % multiple)
    padded = torch.nn.functional.pad(frames.flatten(1, 2), pad, mode=mode)
    padded = padded.view(1, -1, 3, *padded.shape[-2:])
    with torch.inference_mode():
        expected = network(padded).restored[..., :14, :21]
        assert torch.allclose(network(frames).restored, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["svrnn", "nafnet_two_frames", "dbn"])
def test_weights_come_back_from_a_file(name, tmp_path):
    config = small_config(name)
    network = small(name).eval()
    weights.save(tmp_path / "peer.safetensors", network, config)
    loaded = weights.load(tmp_path / "peer.safetensors")
    frames = frames_for(network, 16, 16)
    with torch.inference_mode():
        assert torch.equal(loaded(frames).restored, network(frames).restored)


@pytest.mark.parametrize("name", ["svrnn", "srn", "deblurgan", "estrnn"])
def test_initial_weights_follow_the_seed_only(name):
    first, second = small(name), small(name)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    own(first, torch.Generator().manual_seed(3))
    assert torch.equal(torch.rand(1), expected)
    NearIdentity()(second, torch.Generator().manual_seed(3))  # the default of training
    for (key, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other), key


def test_published_initial_weights():
    generator = torch.Generator().manual_seed(0)
    srn, gan, svrnn = SRN(width=8), DeblurGAN(width=8), SVRNN()
    for network in (srn, gan, svrnn):
        network.initialize(generator)
    assert srn.lstm.gates.weight.abs().max() <= 2e-3
    assert gan.model[3].weight.std().item() == pytest.approx(0.02, rel=0.1)
    bound = (3 / (3 * 11 * 11)) ** 0.5
    assert bound * 0.98 < svrnn.f1.weight.abs().max() <= bound
    for network in (srn, gan, svrnn):
        assert all(
            not value.any() for key, value in network.named_parameters() if key.endswith("bias")
        )


@pytest.mark.parametrize("name", ["svrnn", "dbn", "estrnn"])
def test_wrong_frames_are_refused(name):
    network = small(name)
    with pytest.raises(ValueError, match=rf"expected frames \(B, {len(network.frame_offsets)}, 3"):
        network(torch.rand(1, 2, 3, 16, 16))


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (DBN, {"frame_offsets": (1, 2)}, "must include 0"),
        (ESTRNN, {"frame_offsets": (-1, 0, 1)}, "consecutive from -2 or before to 2"),
        (OVD, {"frame_offsets": (-3, -1, 0, 1, 2)}, "consecutive from -2 or before to 2"),
        (NAFNet, {"encoder_blocks": (1, 1), "decoder_blocks": (1,)}, "the same length"),
    ],
)
def test_impossible_options_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)


def test_coarse_outputs_stand_at_a_quarter_and_a_half():
    for name in ("srn", "nah"):
        network = small(name)
        frames = frames_for(network, 30, 50)
        rows, columns = (-(-side // network.stride) * network.stride for side in (30, 50))
        shapes = [tuple(each.shape) for each in network(frames).coarse]
        assert shapes == [(1, 3, rows // 4, columns // 4), (1, 3, rows // 2, columns // 2)]


def test_rnn_weights_of_svrnn_are_those_of_its_four_groups():
    network = small("svrnn")
    kept = network(frames_for(network, 16, 24), keep_rnn_weights=True).rnn_weights
    assert [tuple(each.shape) for each in kept] == [(1, 32, 8, 12)] * 4
    assert all(each.abs().max() < 1 for each in kept)


def test_nafnet_stacks_the_current_frame_first():
    network = NAFNet(width=4, encoder_blocks=(1,), decoder_blocks=(1,), frame_offsets=(-1, 0))
    torch.nn.init.zeros_(network.ending.weight)
    torch.nn.init.zeros_(network.ending.bias)
    frames = frames_for(network, 8, 8)
    assert torch.equal(network(frames).restored, frames[:, 1])  # the residual's frame
    torch.nn.init.zeros_(network.intro.weight[:, :3].detach())
    torch.nn.init.ones_(network.ending.weight)
    changed = frames.clone()
    changed[:, 1] = 0  # the first three channels of the input are not read any more
    residuals = [network(each).restored - each[:, 1] for each in (frames, changed)]
    assert torch.allclose(*residuals)


@pytest.mark.parametrize("name", ["estrnn", "ovd"])
def test_a_streaming_step_returns_a_frame(name):
    network = small(name)
    with torch.inference_mode():
        assert network.streaming_step(torch.rand(1, 3, 16, 24)).shape == (1, 3, 16, 24)


@pytest.mark.parametrize("name", ["estrnn", "ovd"])
def test_a_longer_window_remembers_more(name):
    offsets = list(range(-6, 3))
    network = small(name, frame_offsets=offsets).eval()
    frames = frames_for(network, 16, 16)
    forgotten = frames.clone()
    forgotten[:, 0] = 0
    with torch.inference_mode():
        assert not torch.equal(network(frames).restored, network(forgotten).restored)


def test_svrnn_without_rnn_weights_copies_its_features():
    network = small("svrnn").eval()
    frames = frames_for(network, 16, 24)
    (name,) = lesions(network)
    with torch.inference_mode():
        whole = network(frames).restored
        with lesions(network)[name]():
            lesioned = network(frames, keep_rnn_weights=True)
        assert not any(each.any() for each in lesioned.rnn_weights)
        for layer in network.g4:  # the weight net is not read any more
            torch.nn.init.zeros_(layer.weight)
        with lesions(network)[name]():
            assert torch.equal(network(frames).restored, lesioned.restored)
        assert not torch.equal(lesioned.restored, whole)


@pytest.mark.parametrize("name", PEERS)
def test_lesions_of_peers(name):
    network = small(name).eval()
    assert ("neighbours = current frame" in lesions(network)) == (len(network.frame_offsets) > 1)
