from __future__ import annotations

import pytest
import torch
from tests.composition import MODELS, make_model

from flowdeblur.networks.inference import infer, tile_difference
from flowdeblur.networks.strips import HALO, strip_rows, strips


def make_network(name="proposed"):
    """A small network whose RNNs carry states far."""
    torch.manual_seed(0)
    network = make_model(name, width=2).eval()
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if ".rnnw.weight" in key:
                parameter.mul_(20)
    return network


@pytest.mark.parametrize(("height", "rows"), [(32, 32), (128, 32), (96, 100), (352, 36)])
def test_strips_divide_the_rows(height, rows):
    found = strips(height, rows)
    assert [row for each in found for row in range(*each.own.indices(height))] == [*range(height)]
    for each in found:
        assert each.own.start - each.read.start in (0, HALO)
        assert each.read.stop - each.own.stop in range(HALO + 1)
        assert each.own.start % 4 == each.read.start % 4 == 0  # where strides of 2 meet the frame


def test_a_strip_has_the_area_of_a_tile():
    assert strip_rows(384, 1920) == 72
    assert strip_rows(192, 1920) == 64


@pytest.mark.parametrize("size", [(200, 260), (257, 191), (130, 320)])
def test_strips_are_exact(size):
    network, frames = make_network(), torch.rand(2, 2, 3, *size)
    whole = infer(network, frames)
    # Cut off from what is beyond a strip, the same network restores something else.
    upper = infer(network, frames[..., :128, :].contiguous()).restored
    assert (upper - whole.restored[..., :128, :]).abs().max() > 1e-3
    off = (infer(network, frames, tile=128).restored - whole.restored).abs().max()
    assert off <= 1e-5 * whole.restored.abs().max()
    assert tile_difference(network, frames[:1], 128).psnr > 90


def test_strips_in_bfloat16():
    network, frames = make_network(), torch.rand(1, 2, 3, 200, 260)
    whole = infer(network, frames, dtype=torch.bfloat16).restored
    off = infer(network, frames, dtype=torch.bfloat16, tile=128).restored - whole
    assert off.abs().max() <= 2**-7 * whole.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_only_rnns_in_the_encoder_run_in_strips(name):
    network = make_model(name, width=2)
    in_strips = getattr(network, "in_strips", lambda: None)()
    expected = {"proposed", "bidirectional", "small", "compact", "without_flow"}
    assert (in_strips is not None) == (name in expected)
