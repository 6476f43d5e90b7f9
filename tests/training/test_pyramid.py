from __future__ import annotations

import pytest
import torch

from flowdeblur.training.objectives import ColorCharbonnier, Objective, squared
from flowdeblur.training.pyramid import Pyramid
from flowdeblur.types import Restoration


def flat(value, *size):
    return torch.full((1, 3, *size), value)


def test_every_scale_counts_by_its_own_mean():
    coarse = (flat(0.6, 4, 6), flat(0.7, 8, 12))
    term = Pyramid(squared, weight=2.0)(coarse, flat(0.5, 16, 24))
    assert term.tolist() == pytest.approx([2 * (0.1**2 + 0.2**2)])


def test_padding_and_partial_cells_do_not_count():
    output = flat(9.0, 16, 16)
    output[..., :9, :12] = 0.5  # the whole cells of 19 x 25
    assert Pyramid(squared)((output,), flat(0.5, 19, 25)).item() == pytest.approx(0, abs=1e-9)
    assert Pyramid(squared)((flat(9.0, 1, 1),), flat(0.5, 1, 1)).item() == 0  # no whole cell


def test_the_target_is_the_antialiased_frame():
    ramp = torch.arange(64.0).expand(1, 3, 32, 64)
    halved = torch.arange(32.0).expand(1, 3, 16, 32) * 2 + 0.5
    term = Pyramid(torch.abs)((halved[..., 4:28],), ramp[..., 8:56])
    assert term.item() < 0.05  # zero but for the borders


def test_an_objective_uses_it_for_networks_with_coarse_outputs():
    sharp = flat(0.5, 8, 8)
    batch = {"sharp": sharp, "frames": sharp[:, None], "key": ["a/0"]}
    objective = Objective(restoration=squared, pyramid=Pyramid(squared))
    with_coarse = Restoration(flat(0.6, 8, 8), coarse=(flat(0.8, 4, 4),))
    terms = objective(with_coarse, batch, (0,), ())
    assert terms["pyramid"].item() == pytest.approx(0.09)
    assert terms["total"].item() == pytest.approx(0.1)
    assert "pyramid" not in objective(Restoration(flat(0.6, 8, 8)), batch, (0,), ())


def test_color_charbonnier_is_of_a_pixel():
    difference = torch.tensor([0.3, 0.0, 0.0]).view(1, 3, 1, 1)
    expected = (0.3**2 / 3 + 1e-6) ** 0.5
    assert ColorCharbonnier()(difference).flatten().tolist() == pytest.approx([expected])
