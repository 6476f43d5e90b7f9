"""Scenes as a source: reproducible, disjoint between splits, and varied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from flowdeblur.devices import one_thread_per_operation
from flowdeblur.errors import UserError
from flowdeblur.scenes import Scenes, textures
from flowdeblur.scenes.render import true_flow
from flowdeblur.scenes.textures import PHOTOGRAPHS

SMALL = {"size": (32, 48), "cache": None}


@pytest.fixture
def one_thread():
    with one_thread_per_operation():
        yield


def same(left, right):
    return left.keys() == right.keys() and all(
        torch.equal(left[name], right[name]) if name != "key" else left[name] == right[name]
        for name in left
    )


def test_shapes_and_types():
    sample = Scenes("train", 2, **SMALL).open((-1, 0, 1), (-1, 1))[1]
    assert sample["frames"].shape == (3, 3, 32, 48)
    assert sample["frames"].dtype == sample["sharp"].dtype == torch.uint8
    assert sample["sharp"].shape == (3, 32, 48)
    assert sample["flow"].shape == (4, 32, 48)
    assert sample["flow"].dtype == torch.float32
    assert sample["visible"].shape == (2, 32, 48)
    assert sample["visible"].dtype == torch.bool
    assert sample["key"] == "scenes-train-00001/0"


def test_without_flow_offsets_there_is_no_flow():
    assert Scenes("train", 1, **SMALL).open((0, 1), ())[0].keys() == {"frames", "sharp", "key"}


def test_the_same_scene_whatever_came_before_and_however_many_threads():
    recipe = Scenes("train", 3, **SMALL)
    first, second = recipe.open((0, 1), (1,)), recipe.open((0, 1), (1,))
    forwards = [first[index] for index in range(3)]
    with one_thread_per_operation():
        backwards = [second[index] for index in (2, 1, 0)][::-1]
    assert all(same(one, other) for one, other in zip(forwards, backwards, strict=True))
    assert not torch.equal(forwards[0]["sharp"], forwards[1]["sharp"])


def test_frames_and_flows_do_not_depend_on_what_else_was_asked_for():
    recipe = Scenes("val", 1, **SMALL)
    wide = recipe.open((-1, 0, 1, 2), (-1, 1, 2))[0]
    pair, single = recipe.open((0, 1), (1,))[0], recipe.open((0,), ())[0]
    reversed_ = recipe.open((1, 0, -1), (1, -1))[0]
    assert torch.equal(pair["frames"], wide["frames"][1:3])
    assert torch.equal(single["frames"], wide["frames"][1:2])
    assert torch.equal(pair["flow"], wide["flow"][2:4])
    assert torch.equal(pair["visible"], wide["visible"][1:2])
    assert torch.equal(reversed_["frames"], wide["frames"][[2, 1, 0]])
    assert torch.equal(reversed_["flow"], wide["flow"][[2, 3, 0, 1]])


def test_the_number_of_scenes_does_not_change_them():
    few, many = (Scenes("train", count, **SMALL).open((0, 1), (1,)) for count in (1, 5))
    assert same(few[0], many[0])


def test_every_frame_has_noise_of_its_own():
    recipe = Scenes("train", 1, motion_px=0.0, noise=(0.02, 0.02), **SMALL)
    frames = recipe.open((-1, 0, 1), ())[0]["frames"].float()
    residual = (frames - frames.mean(0)).flatten(1)
    correlation = np.corrcoef(residual.numpy())
    assert np.abs(correlation + 0.5)[~np.eye(3, dtype=bool)].max() < 0.05  # -1/2: independent


def test_splits_share_neither_photographs_nor_seeds():
    recipes = [Scenes(split, 500, **SMALL) for split in ("train", "val", "test")]
    seeds = [r.random_seed(i, purpose) for r in recipes for i in range(500) for purpose in (1, 2)]
    streams = {tuple(np.random.SeedSequence(seed).generate_state(4)) for seed in seeds}
    assert len(streams) == len(seeds)
    photographs = [set(PHOTOGRAPHS[recipe.split]) for recipe in recipes]
    assert not photographs[0] & photographs[1]
    assert not photographs[0] & photographs[2]
    assert not photographs[1] & photographs[2]


def test_a_split_paints_with_its_own_photographs_only(monkeypatch, one_thread):
    used = set()
    original = textures.photograph

    def watched(name):
        used.add(name)
        return original(name)

    monkeypatch.setattr(textures, "photograph", watched)
    recipe = Scenes("val", 12, **SMALL)
    for index in range(recipe.count):
        recipe.scene(index)
    assert used == set(PHOTOGRAPHS["val"])


def test_photographs_of_the_users_own(tmp_path, monkeypatch, one_thread):
    """A scene of nothing but images of one colour shows this colour, brightened or tinted."""
    monkeypatch.setattr(textures, "DEAD_LEAVES_SHARE", 0)
    blue = np.full((300, 400, 3), (0, 0, 180), np.uint8)
    Image.fromarray(blue).save(tmp_path / "blue.png")
    recipe = Scenes("train", 2, photographs=str(tmp_path), noise=(0, 0), **SMALL)
    sharp = recipe.open((0,), ())[0]["sharp"]
    assert sharp[:2].max() == 0
    assert sharp[2].min() > 100
    cached = replace(recipe, cache=str(tmp_path / "cache"))
    assert torch.equal(cached.open((0,), ())[0]["sharp"], sharp)
    Image.fromarray(np.roll(blue, 1, axis=2)).save(tmp_path / "blue.png")  # it is red now
    textures.photograph.cache_clear()
    assert cached.open((0,), ())[0]["sharp"][0].min() > 100  # not what was rendered before


def test_a_folder_without_photographs_is_named(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        Scenes("train", 1, photographs=str(tmp_path), **SMALL).open((0,), ())[0]


def test_motion_is_varied_and_bounded():
    recipe = Scenes("train", 60, still=0.2, **SMALL)
    flows = recipe.open((0,), (1,))
    speeds = np.array([flows[i]["flow"].norm(dim=0).max().item() for i in range(60)])
    assert 0.05 < (speeds < 1).mean() < 0.4  # nearly still
    assert (speeds < 2 * recipe.motion_px).all()
    assert speeds.max() > 0.8 * recipe.motion_px
    assert speeds.std() > 2
    fast = Scenes("train", 12, motion_px=24.0, still=0.0, **SMALL).open((0,), (1,))
    assert np.median([s["flow"].norm(dim=0).max().item() for s in fast]) > 1.4 * np.median(speeds)


def test_half_precision_keeps_the_flow(one_thread):
    recipe = Scenes("train", 8, **SMALL)
    flows = recipe.open((0,), (1,))
    for index in range(recipe.count):
        error = flows[index]["flow"] - true_flow(recipe.scene(index), 1)[0]
        assert error.abs().max() < 0.01


def test_there_is_no_scene_beyond_the_last():
    scenes = Scenes("train", 2, **SMALL).open((0,), ())
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"number {index}"):
            scenes[index]
    assert len(list(scenes)) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"split": "training"},
        {"count": 0},
        {"size": (8, 160)},
        {"seed": -1},
        {"motion_px": -1.0},
        {"still": 1.5},
        {"duty_cycle": (0.9, 0.5)},
        {"duty_cycle": (0.5, 1.2)},
        {"noise": (-0.1, 0.0)},
        {"objects": (3, 2)},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=name):
        Scenes(**{"split": "train", "count": 1} | wrong)
