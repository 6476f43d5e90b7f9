from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from tests.composition import make_model

from flowdeblur.networks.inference import infer
from flowdeblur.networks.shrinkage import shrink_changes


def test_a_change_is_multiplied_by_its_wiener_gain():
    """In the middle of 8x8 blocks, where the gain is not interpolated."""
    rng = np.random.default_rng(0)
    frame = rng.random((1, 3, 128, 160), dtype=np.float32)
    change = rng.normal(0, 0.02, frame.shape).astype(np.float32) * np.linspace(0, 1, 160)
    shrunk = shrink_changes(torch.tensor(frame), torch.tensor(frame + change).float(), 2.0)
    energy = uniform_filter((change[0] ** 2).mean(0), 32, origin=0)
    gain = energy / (energy + (2 / 255) ** 2)
    inner = (slice(20, -20), slice(20, -20))
    measured = (shrunk.numpy() - frame)[0, 0][inner] / change[0, 0][inner]
    assert measured == pytest.approx(gain[inner], abs=0.02)


def test_small_changes_vanish_and_large_ones_stay():
    frame = torch.full((1, 3, 64, 64), 0.5, dtype=torch.float64)
    for levels, expected in ((0.1, 0.0025), (2, 0.5), (40, 0.9975)):
        shrunk = shrink_changes(frame, frame + levels / 255, 2.0)
        assert (shrunk - frame).mean().item() * 255 / levels == pytest.approx(expected, rel=0.01)


def test_frames_without_a_change_stay_and_have_finite_gradients():
    frame = torch.rand(1, 3, 64, 64)
    restored = frame.clone().requires_grad_()
    shrunk = shrink_changes(frame, restored, 2.0)
    shrunk.sum().backward()
    assert torch.equal(shrunk, frame)
    assert restored.grad.isfinite().all()


def test_a_network_shrinks_its_changes_also_in_strips():
    torch.manual_seed(0)
    plain, shrinking = (make_model("proposed", width=2, shrinkage=each).eval() for each in (0, 99))
    shrinking.load_state_dict(plain.state_dict())
    frames = torch.rand(1, 2, 3, 200, 150)
    frame, restored = frames[:, 0], infer(plain, frames).restored
    whole = infer(shrinking, frames).restored
    assert (whole - frame).norm() < 0.8 * (restored - frame).norm()
    strips = infer(shrinking, frames, tile=64).restored
    assert (strips - whole).abs().max() < 1e-5


def test_a_negative_shrinkage_is_refused():
    with pytest.raises(ValueError, match="shrinkage"):
        make_model("proposed", width=2, shrinkage=-1)
