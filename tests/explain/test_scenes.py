from __future__ import annotations

import re

import pytest
import torch

from flowdeblur.errors import UserError
from flowdeblur.explain.scenes import compare_kernels, to_markdown
from flowdeblur.scenes import Scenes
from flowdeblur.types import Restoration


class Recorder(torch.nn.Module):
    """Knows ``restored`` and ``flow`` of each scene by its first pixels."""

    frame_offsets, flow_offsets, current_index = (0, 1), (1,), 0

    def __init__(self, answers):
        super().__init__()
        self.answers = answers

    def forward(self, frames, *, keep_rnn_weights=True):
        restored, flow = self.answers[key_of(frames[0, 0])]
        return Restoration(restored[None], (flow[None],), ())


def key_of(image):
    return tuple(image[:, 0, :4].mul(255).round().int().flatten().tolist())


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("scenes"))
    return Scenes("test", 3, size=(64, 64), still=0.0, noise=(0.0, 0.0), cache=cache)


def answering(scenes, answer):
    samples = scenes.open((0, 1), (1,))
    pairs = [samples[index] for index in range(len(samples))]
    return Recorder({key_of(each["frames"][0] / 255): answer(each) for each in pairs})


def test_true_flow_and_sharp_frames_score_best(scenes):
    network = answering(scenes, lambda each: (each["sharp"] / 255, each["flow"]))
    scores, image = compare_kernels(network, scenes, rows=2)
    assert len(scores) == 3
    for each in scores:
        assert each.ends_px == pytest.approx(0, abs=1e-5)
        assert each.overlap == pytest.approx(1, abs=1e-4)
        assert each.implied_db == pytest.approx(each.true_db)
        assert each.true_db > each.sharp_db + 1
        assert each.gain_db > 1
        assert each.psnr_gain_db > 20  # the sharp frame itself
    assert image.shape[1] == 4 * 68 - 4


def test_doing_nothing_is_the_yardstick(scenes):
    network = answering(scenes, lambda each: (each["frames"][0] / 255, 0 * each["flow"]))
    scores, _ = compare_kernels(network, scenes)
    for each in scores:
        assert each.ends_px == each.ends_px_without_motion > 0
        assert each.overlap == each.overlap_without_motion < 1
        assert each.implied_db == pytest.approx(each.sharp_db, abs=1e-3)
        assert each.gain_db == each.psnr_gain_db == 0


def test_the_table_holds_means(scenes):
    network = answering(scenes, lambda each: (each["sharp"] / 255, each["flow"]))
    scores, _ = compare_kernels(network, scenes, rows=1)
    table = to_markdown(scores)
    ends = sum(each.ends_px_without_motion for each in scores) / 3
    assert re.search(rf"\| distance of the trails' ends, px \| 0.00 \| {ends:.2f} \|", table)
    assert table.startswith("3 scenes; ")


def test_networks_without_flow_imply_no_kernels(scenes):
    network = Recorder({})
    network.flow_offsets = ()
    with pytest.raises(UserError, match="predict no flow"):
        compare_kernels(network, scenes)
