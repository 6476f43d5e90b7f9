"""Lesions against networks whose weights have been zeroed by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.composition import MODELS, make_model
from torch import nn

from flowdeblur.evaluation.lesions import measure
from flowdeblur.networks.lesions import lesions
from flowdeblur.types import Restoration

FRAMES = torch.rand(1, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    return make_model("proposed", width=4).eval()


def zeroed(network, *names, inputs=slice(None)):
    """A copy in which layers, or what they read from some of their inputs, have zero weights."""
    changed = copy.deepcopy(network)
    for name in names:
        layer = changed.get_submodule(name)
        rows = layer.weight.transpose(0, 1) if isinstance(layer, nn.Conv2d) else layer.weight
        rows.data[inputs] = 0
        if inputs == slice(None):
            layer.bias.data.zero_()
    return changed


SUBNET = "deblurring_subnet"
FLOWS = [f"flow_subnet.flow{n}" for n in (6, 5, 4, 3, 2)]
EXPECTED = {
    "flow = 0": {"names": FLOWS},
    "RNN weights 1/2 = 0": {"names": [f"{SUBNET}.rnn1.rnnw"]},
    "RNN weights 1/8 = 0": {"names": [f"{SUBNET}.rnn3.rnnw"]},
    "encoder 1/4": {"names": [f"{SUBNET}.d_conv2"]},
    "skip 1/2": {"names": [f"{SUBNET}.d_deconv1"], "inputs": slice(0, 16)},
    "below 1/2": {"names": [f"{SUBNET}.d_deconv1"], "inputs": slice(16, None)},
    "skip 1/8": {"names": [f"{SUBNET}.d_deconv3"], "inputs": slice(0, 64)},
    "convs at 1/8": {"names": [f"{SUBNET}.d_deconv3"], "inputs": slice(64, None)},
}


@torch.no_grad()
@pytest.mark.parametrize("name", EXPECTED)
def test_a_lesion_equals_zero_weights(name, network):
    whole = network(FRAMES).restored
    other = EXPECTED[name]
    expected = zeroed(network, *other["names"], inputs=other.get("inputs", slice(None)))(FRAMES)
    with lesions(network)[name]():
        lesioned = network(FRAMES)
    assert torch.allclose(lesioned.restored, expected.restored, atol=1e-6)
    assert not torch.allclose(lesioned.restored, whole, atol=1e-6)
    assert torch.equal(network(FRAMES).restored, whole)  # nothing stays switched off


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_every_variant_has_lesions(name):
    variant = make_model(name, width=2).eval()
    count = len(variant.frame_offsets)
    frames = FRAMES[:, :1].repeat(1, count, 1, 1, 1) * torch.rand(1, count, 3, 64, 64)
    found = lesions(variant)
    assert ("neighbours = current frame" in found) == (count > 1)
    assert ("flow = 0" in found) == bool(variant.flow_offsets)
    assert ("RNN weights 1/4 = 0" in found) == (name != "without_rnns")
    for lesion in found.values():
        with lesion():
            assert variant(frames).restored.isfinite().all()


class Mean(nn.Module):
    """The mean of two frames; a network of somebody else."""

    frame_offsets, flow_offsets, current_index = (0, 1), (), 0

    def forward(self, frames, *, keep_rnn_weights=False):
        return Restoration(frames.mean(1))


def test_scores_of_any_network():
    frames = torch.stack([torch.full((3, 16, 16), value, dtype=torch.uint8) for value in (0, 20)])
    sharp = torch.full((3, 16, 16), 11, dtype=torch.uint8)
    samples = [{"frames": frames, "sharp": sharp, "key": f"clip/{n}"} for n in range(3)]
    network = Mean()
    scores = measure(network, samples, lesions(network), torch.device("cpu"))
    decibels = {error: -20 * torch.tensor(error / 255).log10().item() for error in (1, 11)}
    assert scores.restored == pytest.approx([decibels[1]] * 3, abs=1e-3)
    mean, error = scores.lost()["neighbours = current frame"]
    assert mean == pytest.approx(decibels[1] - decibels[11], abs=1e-3)
    assert error == pytest.approx(0, abs=1e-6)
    assert f"| neighbours = current frame | {mean:.2f} | 0.00 |" in scores.markdown()
    assert scores.csv().splitlines()[1].startswith("clip/0,27.3")
