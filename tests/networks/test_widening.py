from __future__ import annotations

import pytest
import torch
from tests.composition import make_model

from flowdeblur.networks.initialization import pytorch_defaults
from flowdeblur.networks.widening import widen

VARIANTS = (
    "proposed",
    "bidirectional",
    "concat_rnn_weights",
    "rnns_in_decoder",
    "without_flow",
    "without_rnns",
)


def random_network(name, width):
    network = make_model(name, width=width)
    pytorch_defaults(network, torch.Generator().manual_seed(width))
    return network.double()


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("narrow", "wide"), [(2, 4), (4, 6)])
def test_a_widened_network_computes_the_same(name, narrow, wide):
    small, large = random_network(name, narrow), random_network(name, wide)
    tensors = widen(large, small.state_dict(), torch.Generator().manual_seed(0))
    frames = torch.rand(1, len(small.frame_offsets), 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        expected = small(frames)
        assert not torch.allclose(large(frames).restored, expected.restored, atol=1e-2)
        large.load_state_dict(tensors)
        found = large(frames)
    torch.testing.assert_close(found.restored, expected.restored, rtol=1e-6, atol=1e-6)
    for here, there in zip(found.flows, expected.flows, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-6, atol=1e-6)


def test_copies_part_in_training():
    large = make_model("proposed", width=4)
    small = random_network("proposed", 2)
    large.load_state_dict(widen(large, small.state_dict(), torch.Generator().manual_seed(0)))
    large(torch.rand(1, 2, 3, 64, 64)).restored.square().sum().backward()
    for name, parameter in large.named_parameters():
        if name.endswith("d_conv2.bias"):
            one, other = parameter.grad[0::2], parameter.grad[1::2]
            assert ((one - other).abs() > 0.05 * one.abs()).all(), name
