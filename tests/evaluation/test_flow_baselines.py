from __future__ import annotations

import pytest
import torch

from flowdeblur.evaluation.flow_baselines import flow_baselines


def shifted(dx: int):
    """A smooth texture and the same moved by ``dx`` pixels to the right."""
    noise = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(noise, (64, 96), mode="bicubic").clamp(0, 1)
    return wide[0, :, :, 16:80], wide[0, :, :, 16 - dx : 80 - dx]


def test_errors_of_zero_flow_and_of_dis():
    current, other = shifted(4)
    flow = torch.zeros(1, 4, 64, 64)
    flow[:, 0], flow[:, 2] = 4.0, -4.0
    visible = torch.ones(1, 2, 64, 64, dtype=torch.bool)
    visible[..., :8], visible[..., -8:] = False, False
    frames = torch.stack([shifted(-4)[1], current, other])[None]
    flow = flow[:, [2, 3, 0, 1]]  # to the previous frame first
    batch = {"frames": frames, "sharp": current[None], "key": ["a/0"], "flow": flow}
    errors = flow_baselines({**batch, "visible": visible}, (-1, 0, 1), (-1, 1))
    assert errors["epe_of_zero"].tolist() == pytest.approx([4.0])
    assert errors["epe_of_dis"].item() < 0.5


def test_hidden_pixels_do_not_count():
    current, other = shifted(0)
    flow = torch.zeros(1, 2, 64, 64)
    flow[..., :32] = 100.0
    visible = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    visible[..., :32] = False
    frames = torch.stack([current, other])[None]
    batch = {"frames": frames, "sharp": current[None], "key": ["a/0"], "flow": flow}
    assert flow_baselines({**batch, "visible": visible}, (0, 1), (1,))["epe_of_zero"] == 0
