"""experiment=release from raw files to weights, as in docs/recipes.md."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter1d
from tests.synthesis.footage import contents, write_frames

from flowdeblur import weights
from flowdeblur.cli import main
from flowdeblur.datasets import PackedFrames
from flowdeblur.errors import UserError
from flowdeblur.synthesis import release
from flowdeblur.synthesis.inputs import SharpClip
from flowdeblur.synthesis.release import prepare_release, wanted_lengths
from flowdeblur.synthesis.stills import sharpest_frames
from flowdeblur.synthesis.survey import Survey, sharpness
from flowdeblur.video.images import read_image


@pytest.mark.slow
def test_from_raw_files_to_weights(tmp_path, capsys):
    raw, data, run = tmp_path / "raw", tmp_path / "data", tmp_path / "run"
    for name in ("davis", "gpmf_carnd", "sam2", "pose2sim"):
        write_frames(raw / "sharp" / name / "walk", 30, (300, 370), softness=0.7)
    for clip in ("real/a", "val/b"):
        for kind in ("blur", "sharp"):
            write_frames(raw / clip / kind, 3, (288, 352))
    write_frames(raw / "photographs", 2)
    command = ["data", "release", str(raw), str(data), "--segments", "4", "--jobs", "1"]
    for _ in range(2):  # the second time there is nothing left to do
        assert main(command) == 0
    assert "sam2: 4 segments" in capsys.readouterr().out
    scenes = [
        f"data.train.sources.{name}.{setting}"
        for name in ("scenes", "photographs")
        for setting in ("count=2", "size=[80,80]", f"cache={tmp_path / 'scenes'}")
    ]
    tiny = ["model=small", "debug=fast", "data.patch=[64,64]", "trainer.accelerator=cpu"]
    overrides = [f"data.root={data}", f"hydra.run.dir={run}", "trainer.max_steps=8", *tiny]
    status = main(["train", "experiment=release", *overrides, *(f"++{each}" for each in scenes)])
    assert status == 0
    out = tmp_path / "small.safetensors"
    assert main(["export", str(run), str(out), "--half", "--licence", "CC-BY-4.0"]) == 0
    described = weights.describe(out)
    assert described["licence"] == "CC-BY-4.0"
    training = described["training"]["data"]
    assert "REDS" in training["attribution"]["real"]
    assert training["attribution"].keys() == training["sources"].keys()
    assert training["sources"].keys() == training["shares"].keys()
    assert str(tmp_path) not in str(described)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    write_frames(folder / "raw" / "sharp" / "pan" / "walk", 24, (300, 370), softness=0.7)
    described = prepare_release(folder / "raw", folder / "out", segments_per_clip=3, seed=0, jobs=1)
    return folder, described


def test_segments_have_the_blur_that_was_wanted(prepared):
    """Every second frame moves by 2 px at full size: the blur length is known."""
    folder, described = prepared
    for each in described:
        segment = each["segment"]
        settings, scale = segment["settings"], segment["scale"]
        known = 2 * scale * settings["interval"] * settings["duty_cycle"]
        for blur in each["blur_px"]:
            assert blur["median"] == pytest.approx(known, rel=0.1)
    samples = PackedFrames(str(folder / "out" / "pan")).open((0, 1), ())
    assert len(samples) == 9
    sharp = PackedFrames(str(folder / "out" / "unblurred")).open((0, 1), ())[0]
    assert torch.equal(sharp["frames"][0], sharp["sharp"])


def test_neighbours_are_a_frame_interval_apart(prepared):
    """The next sharp frame is the current one, moved by the interval's motion."""
    folder, described = prepared
    samples = PackedFrames(str(folder / "out" / "pan")).open((0,), ())
    for number, each in enumerate(described):
        segment = each["segment"]
        shift = round(2 * segment["scale"] * segment["settings"]["interval"])
        one, other = (samples[3 * number + k]["sharp"].float() for k in (0, 1))
        errors = {
            step: (one[..., 40 + step : 300 + step] - other[..., 40:300]).abs().mean().item()
            for step in range(40)
        }
        assert abs(min(errors, key=errors.get) - shift) <= 1


def test_sharpest_frames_of_each_part_become_textures(prepared):
    folder, _ = prepared
    survey = Survey.of(SharpClip("walk", folder / "raw" / "sharp" / "pan" / "walk").frames())
    survey.sharpness[:] = 0
    survey.sharpness[5::6] = 1
    assert sharpest_frames(survey, 4) == [5, 11, 17, 23]
    names = sorted(path.name for path in (folder / "out" / "textures").iterdir())
    assert len(names) == 14
    assert all(name.startswith("walk-") for name in names)
    number = int(names[0][5:10])
    raw = sorted((folder / "raw" / "sharp" / "pan" / "walk").iterdir())[number]
    np.testing.assert_array_equal(
        read_image(folder / "out" / "textures" / names[0]), read_image(raw)
    )


def test_the_sharp_frame_is_the_middle_of_the_exposure(prepared):
    """A blurry frame is the box-filtered sharp one, and not a shifted one."""
    folder, described = prepared
    samples = PackedFrames(str(folder / "out" / "pan")).open((0,), ())
    for number, each in enumerate(described):
        length = each["blur_px"][1]["median"]
        sample = samples[3 * number + 1]
        light = (sample["sharp"].double().numpy() / 255) ** 2.2
        blurred = uniform_filter1d(light, max(round(length), 1), axis=-1)
        blurry = (sample["frames"][0].double().numpy() / 255) ** 2.2
        errors = {
            shift: np.abs(np.roll(blurred, shift, -1) - blurry)[..., 60:-60].mean()
            for shift in range(-3, 4)
        }
        assert min(errors, key=errors.get) == 0


def test_an_interrupted_call_is_resumed_with_the_same_bytes(prepared, tmp_path, monkeypatch):
    folder, _ = prepared
    write, calls = release._write, 0

    def killed(path, exposed):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        write(path, exposed)

    monkeypatch.setattr(release, "_write", killed)
    settings = {"segments_per_clip": 3, "seed": 0, "jobs": 1}
    with pytest.raises(KeyboardInterrupt):
        prepare_release(folder / "raw", tmp_path, **settings)
    assert not (tmp_path / "pan" / "index.json").exists()
    monkeypatch.setattr(release, "_write", write)
    prepare_release(folder / "raw", tmp_path, **settings)
    assert contents(tmp_path) == contents(folder / "out")


def test_wanted_lengths_are_even_on_a_logarithmic_scale():
    lengths = np.array(wanted_lengths(500))
    assert (lengths == 0).sum() == 20
    octaves, _ = np.histogram(np.log2(lengths[lengths > 0]), np.arange(-1, 6))
    assert np.ptp(octaves) <= 1
    assert lengths.max() == pytest.approx(40)


def test_sharpness_falls_with_motion_blur_and_not_with_contrast():
    rng = np.random.default_rng(0)
    texture = 255 * gaussian_filter(rng.random((200, 200)) > 0.5, 0.7, output=np.float64)
    blurred = uniform_filter1d(texture, 7, axis=1)
    sharp = sharpness(np.uint8(texture))
    assert sharpness(np.uint8(blurred)) < 0.7 * sharp
    assert sharpness(np.uint8(texture / 2 + 60)) == pytest.approx(sharp, rel=0.03)


def test_unsharp_clips_are_refused(tmp_path):
    write_frames(tmp_path / "sharp" / "soft" / "walk", 6, (300, 370), softness=3.0)
    with pytest.raises(UserError, match=r"sharp/soft: no frames are sharp enough"):
        prepare_release(tmp_path, tmp_path / "out", segments_per_clip=1, seed=0)


def test_a_folder_without_sharp_clips(tmp_path):
    with pytest.raises(UserError, match=r"sharp: no folders; put sharp videos into"):
        prepare_release(tmp_path, tmp_path / "out", segments_per_clip=1, seed=0)
