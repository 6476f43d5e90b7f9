from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from tests.composition import make_model
from torch import nn

from flowdeblur.blur.kernels import Trail, reblur
from flowdeblur.explain.explanation import consistency, explain_frame
from flowdeblur.scenes import Scenes
from flowdeblur.types import Restoration


class Oracle(nn.Module):
    """Knows the sharp frame and the flow, unless both frames are the same."""

    frame_offsets, flow_offsets, current_index = (0, 1), (1,), 0

    def __init__(self, sharp, flow):
        super().__init__()
        self.sharp, self.flow = sharp, flow

    def forward(self, frames, *, keep_rnn_weights=True):
        if torch.equal(frames[:, 0], frames[:, 1]):
            return Restoration(frames[:, 0], (0 * self.flow,), ())
        return Restoration(self.sharp, (self.flow,), ())


@pytest.fixture(scope="module")
def scene():
    recipe = Scenes("val", 1, size=(128, 128), still=0.0, noise=(0.0, 0.0), cache=None)
    sample = recipe.open((0, 1), (1,))[0]
    frames, sharp = sample["frames"][None] / 255, sample["sharp"][None] / 255
    return frames, sharp, sample["flow"][None], recipe.scene(0).duty_cycle


def test_the_sharp_frame_explains_the_blurry_one_better_than_itself(scene):
    frames, sharp, flow, duty_cycle = scene
    reported = explain_frame(Oracle(sharp, flow), frames, [1], duty_cycle)
    assert torch.equal(reported.blurry, frames[0, 0])
    assert torch.equal(reported.restored, sharp[0])
    assert reported.motion.gain > 2
    assert torch.equal(reported.still.restored, frames[0, 0])
    assert reported.still.flow.abs().max() == 0


def test_a_network_that_changes_nothing_gains_nothing(scene):
    frames, _, flow, duty_cycle = scene
    reported = explain_frame(Oracle(frames[:, 0], flow), frames, [1], duty_cycle)
    assert reported.motion.gain == 0


def test_consistency_is_psnr_where_the_trail_stays_inside():
    torch.manual_seed(0)
    sharp, blurry = torch.rand(2, 1, 3, 20, 30)
    flow = torch.tensor([4.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 20, 30)
    blurred, score = consistency(sharp, blurry, Trail(-flow, flow), 1.0)
    assert torch.equal(blurred, reblur(sharp, Trail(-flow, flow), 1.0))
    within = np.s_[:, :, :, 2:28]  # 2 pixels to either side
    expected = peak_signal_noise_ratio(
        blurry.numpy()[within], blurred.numpy()[within], data_range=1
    )
    assert score == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "has_motion", "has_weights"),
    [
        ("proposed", True, True),
        ("bidirectional", True, True),
        ("without_flow", False, True),
        ("concat_rnn_weights", True, False),
        ("without_rnns", False, False),
    ],
)
def test_every_architecture_can_be_explained(name, has_motion, has_weights):
    network = make_model(name, width=2).eval()
    frames = torch.rand(1, len(network.frame_offsets), 3, 60, 70)
    directions = network.flow_offsets
    reported = explain_frame(network, frames, directions, 0.8)
    assert (reported.motion is not None) == (reported.still is not None) == has_motion
    assert bool(reported.rnn_weights) == has_weights
    assert reported.restored.shape == (3, 60, 70)
    if reported.motion:
        assert reported.motion.flow.shape == (2, 60, 70)
