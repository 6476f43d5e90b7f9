from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from tests.plugins import vapoursynth_stand_in as stand_in
from torch import nn

import flowdeblur
import flowdeblur.vapoursynth
from flowdeblur.errors import UserError
from flowdeblur.types import Restoration


class Spy(nn.Module):
    """Restores a frame to the mean of those that it reads; bidirectional."""

    frame_offsets, flow_offsets, current_index = (-1, 0, 1), (), 1

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, frames, *, keep_rnn_weights=False):
        return Restoration(frames.mean(1))


@pytest.fixture(autouse=True)
def vs(monkeypatch):
    monkeypatch.setitem(sys.modules, "vapoursynth", stand_in)
    return stand_in


def levels(clip):
    return [round(float(stand_in.read(clip, n).mean()), 3) for n in range(len(clip))]


def flat(*values):
    return [np.full((40, 64, 3), each, np.float32) for each in values]


def test_the_stand_in_is_like_vapoursynth():
    stand_in.check(stand_in)


def test_the_real_vapoursynth(monkeypatch):
    monkeypatch.delitem(sys.modules, "vapoursynth")
    vs = pytest.importorskip("vapoursynth")
    stand_in.check(vs)
    clip = stand_in.numbered(vs, flat(0.1, 0.2, 0.3))
    assert levels(flowdeblur.vapoursynth.deblur(clip, Spy(), cuts=False)) == [0.167, 0.2, 0.233]


def test_it_is_the_pipeline_of_the_library(vs):
    rng = np.random.default_rng(0)
    images = [rng.random((70, 90, 3), np.float32) for _ in range(3)]
    network = flowdeblur.load("small")
    settings = {"device": "cpu", "dtype": "float32", "strength": 0.7, "cuts": False}
    wanted = list(flowdeblur.restore(images, network, **settings))
    clip = flowdeblur.vapoursynth.deblur(stand_in.numbered(vs, images), "small", **settings)
    for n in (2, 0, 1):  # in any order
        np.testing.assert_allclose(stand_in.read(clip, n), wanted[n], atol=1e-6)


@pytest.mark.parametrize("format", [stand_in.RGBS, stand_in.RGBH])
def test_frames_keep_their_format_and_values_beyond_the_displayed_range(vs, format):
    clip = stand_in.numbered(vs, flat(1.5, 1.5, 1.5), format=format)
    result = flowdeblur.vapoursynth.deblur(clip, Spy())
    assert stand_in.read(result, 1).dtype == stand_in.read(clip, 1).dtype
    assert levels(result) == [1.5] * 3


def test_frames_are_not_paired_across_cuts(vs):
    images = flat(0.04, 0.1, 0.8, 0.86)
    for props in ({1: {"_SceneChangeNext": 1}}, {2: {"_SceneChangePrev": 1}}):
        clip = stand_in.numbered(vs, images, props=props)
        # Frame 1: its predecessor stands in for its successor.
        wanted = [0.08, 0.06, 0.84, 0.82]
        assert levels(flowdeblur.vapoursynth.deblur(clip, Spy())) == wanted
    without = flowdeblur.vapoursynth.deblur(stand_in.numbered(vs, images), Spy(), cuts=False)
    assert levels(without)[1] == pytest.approx(0.94 / 3, abs=1e-3)
    no_cut = {n: {"_SceneChangePrev": 0, "_SceneChangeNext": 0} for n in range(4)}
    clip = stand_in.numbered(vs, images, props=no_cut)
    assert levels(flowdeblur.vapoursynth.deblur(clip, Spy())) == levels(without)


def test_cuts_without_properties_are_found(vs):
    rng = np.random.default_rng(1)
    one, other = (rng.random((8, 8, 3)).repeat(8, 0).repeat(8, 1) for _ in range(2))
    images = [each.astype(np.float32) for each in (one, one, other * 0.2, other * 0.2)]
    clip = flowdeblur.vapoursynth.deblur(stand_in.numbered(vs, images), Spy())
    for n, image in enumerate(images):
        np.testing.assert_allclose(stand_in.read(clip, n), image, atol=1e-6)


def test_sharp_frames_pass_through(vs):
    rng = np.random.default_rng(2)
    images = [rng.random((64, 64, 3), np.float32) for _ in range(2)]
    clip = stand_in.numbered(vs, images)
    passed = flowdeblur.vapoursynth.deblur(clip, Spy(), only_blurry=50, cuts=False)
    restored = flowdeblur.vapoursynth.deblur(clip, Spy(), only_blurry=0, cuts=False)
    assert (stand_in.read(passed, 0) == images[0]).all()
    assert (stand_in.read(restored, 0) != images[0]).any()


def test_a_single_frame(vs):
    assert levels(flowdeblur.vapoursynth.deblur(stand_in.numbered(vs, flat(0.4)), Spy())) == [0.4]


def test_mistakes_are_named(vs, monkeypatch):
    bytes_ = vs.core.std.BlankClip(format=vs.RGB24, width=8, height=8, length=2, color=[0, 0, 0])
    with pytest.raises(UserError, match="clip: must be RGBS or RGBH"):
        flowdeblur.vapoursynth.deblur(bytes_, Spy())
    clip = stand_in.numbered(vs, flat(0.1))
    with pytest.raises(UserError, match="--strength 2: must be from 0 to 1"):
        flowdeblur.vapoursynth.deblur(clip, Spy(), strength=2)
    with pytest.raises(UserError, match="range 1s-2s: give frames"):
        flowdeblur.vapoursynth.deblur(clip, Spy(), range="1s-2s")
    monkeypatch.setitem(sys.modules, "vapoursynth", None)
    with pytest.raises(UserError, match=r"vapoursynth is not installed: pip install"):
        flowdeblur.vapoursynth.deblur(clip, Spy())
