from __future__ import annotations

import json
import shutil
import sys

import filelock
import numpy as np
import pytest
from tests.synthesis.footage import contents, frame, image_clip, video_clip

from flowdeblur.cli import main
from flowdeblur.datasets import FrameFolders
from flowdeblur.errors import UserError
from flowdeblur.files import _HOST
from flowdeblur.synthesis import Recipe, Videos
from flowdeblur.synthesis import clip as clip_module
from flowdeblur.synthesis.dataset import synthesize
from flowdeblur.synthesis.inputs import find_clips
from flowdeblur.video.images import read_image

RECIPE = Recipe(duty_cycle=(0.5, 0.9), noise=(0.0, 0.02), jpeg=(50, 90), seed=3)


@pytest.fixture
def videos(tmp_path):
    image_clip(tmp_path / "videos" / "a", seed=1)
    image_clip(tmp_path / "videos" / "b", seed=2)
    return tmp_path / "videos"


def make(videos, out, recipe=RECIPE):
    return synthesize(find_clips(videos), out, recipe, jobs=1)


def test_the_layout_is_dvds_and_the_sharp_frame_the_middle(videos, tmp_path):
    described = make(videos, tmp_path / "out", Recipe(duty_cycle=(1.0, 1.0)))
    samples = FrameFolders(str(tmp_path / "out")).open((0, 1), ())
    assert samples.keys == [f"{clip}/{number:05d}" for clip in "ab" for number in range(4)]
    for number, known in enumerate(described[0]["frames"]):
        assert known["source_frame"] == number + 1  # the ends have no whole exposure
        sharp = read_image(tmp_path / "out" / "a" / "GT" / f"{number:05d}.png")
        assert np.array_equal(sharp, frame(number + 1, seed=1))
        assert known["blur_px"]["mean"] == pytest.approx(2, abs=0.3)
        blurry = read_image(tmp_path / "out" / "a" / "input" / f"{number:05d}.png")
        error = np.mean((blurry.astype(float) - sharp) ** 2)
        assert known["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=2e-3)


def test_metadata(videos, tmp_path):
    (described, _) = make(videos, tmp_path / "out")
    assert described == json.loads((tmp_path / "out" / "a" / "synthesis.json").read_text())
    shot = described["settings"]
    assert 0.5 <= shot["duty_cycle"] <= 0.9
    assert 50 <= shot["jpeg"] <= 90
    assert described["source"]["frames"] == 6
    assert described["statistics"]["frames"] == 4
    assert described["recipe"]["seed"] == 3
    assert "OpenCV" in described["flow"]


def test_draws_depend_on_the_clip_and_the_seed():
    shots = [Recipe(seed=seed).draw(name) for seed in (0, 1) for name in "ab"]
    assert len({shot.duty_cycle for shot in shots}) == 4
    assert Recipe().draw("a") == Recipe().draw("a")
    assert {Recipe(interval=(2, 4)).draw(str(k)).interval for k in range(40)} == {2, 3, 4}


def test_a_killed_run_resumes_and_ends_with_the_same_bytes(videos, tmp_path, monkeypatch):
    make(videos, tmp_path / "whole")
    write, calls = clip_module.write_image, 0

    def killed(path, image, **options):
        nonlocal calls
        calls += 1
        if calls == 4:  # between the blurry and the sharp image of the second frame
            left = path.with_name(f".{path.stem}.partial-1{path.suffix}")
            left.write_bytes(b"half an image")
            raise KeyboardInterrupt
        write(path, image, **options)

    monkeypatch.setattr(clip_module, "write_image", killed)
    with pytest.raises(KeyboardInterrupt):
        make(videos, tmp_path / "out")
    assert not (tmp_path / "out" / "a").exists()
    monkeypatch.setattr(clip_module, "write_image", write)
    make(videos, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_run_killed_while_it_wrote_its_recipe_begins_again(videos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / f".0123abcd.partial-{_HOST}-999999999.json").write_text("half")
    make(videos, out)
    assert not list(out.glob(".*partial*"))


def test_a_clip_that_was_replaced_in_between_is_made_of_the_new_one(videos, tmp_path, monkeypatch):
    write = clip_module.write_image

    def killed(path, image, **options):
        if path.stem == "00001":
            raise KeyboardInterrupt
        write(path, image, **options)

    monkeypatch.setattr(clip_module, "write_image", killed)
    with pytest.raises(KeyboardInterrupt):
        make(videos, tmp_path / "out")
    monkeypatch.setattr(clip_module, "write_image", write)
    shutil.rmtree(videos / "a")
    image_clip(videos / "a", seed=9)
    make(videos, tmp_path / "out")
    make(videos, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_is_complete_is_not_made_again(videos, tmp_path, monkeypatch):
    first = make(videos, tmp_path / "out")
    monkeypatch.setattr(clip_module, "write_image", None)
    assert make(videos, tmp_path / "out") == first


def test_the_command(tmp_path, capsys):
    video_clip(tmp_path / "videos" / "pan.mp4")
    command = ["data", "synthesize", str(tmp_path / "videos"), str(tmp_path / "out")]
    assert main([*command, "--scale", "0.5", "--duty-cycle", "0.8"]) == 0
    assert "pan.mp4: 4 frames, duty cycle 0.80, blur" in capsys.readouterr().out
    sharp = read_image(tmp_path / "out" / "pan" / "GT" / "00000.png")
    assert sharp.shape == (24, 32, 3)


def test_whole_frames_need_no_opencv(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    image_clip(tmp_path / "videos" / "fast", count=11)
    recipe = Recipe(duty_cycle=(1.0, 1.0), interval=(3, 3), whole_frames=True)
    (described,) = make(tmp_path / "videos", tmp_path / "out", recipe)
    assert [each["source_frame"] for each in described["frames"]] == [2, 5, 8]
    assert described["exposure_frames"] == 3
    assert described["statistics"]["blur_px"] is None


def test_a_missing_opencv_is_reported(videos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install 'flowdeblur\[synthesis\]'"):
        make(videos, tmp_path / "out")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_clip_that_cannot_be_used_does_not_stop_the_others(videos, tmp_path, capsys):
    image_clip(videos / "0-short", count=2)
    cut(next((image_clip(videos / "1-cut", count=6)).glob("0003.png")))
    out = tmp_path / "out"
    assert main(["data", "synthesize", str(videos), str(out), "--duty-cycle", "0.9"]) == 2
    error = capsys.readouterr().err
    assert "0-short: has 2 frames, but an exposure of 0.9 frames needs 3" in error
    assert "(and 1 more clips)" in error
    assert error.count("\n") == 1
    assert sorted(each.name for each in out.iterdir() if each.is_dir()) == ["a", "b"]


def test_a_truncated_video_is_reported(tmp_path):
    video = video_clip(tmp_path / "videos" / "pan.mkv", count=40)
    cut(video)
    with pytest.raises(UserError, match=r"pan.mkv: .*(cut off|damaged)"):
        make(tmp_path / "videos", tmp_path / "out")


def test_a_cut_in_the_video_is_reported(tmp_path):
    dark = [np.full((48, 64, 3), (200, 30, 0), np.uint8) // (1 + k % 2) for k in range(2)]
    images = [frame(0), frame(1), frame(2), dark[0], dark[0]]
    video_clip(tmp_path / "v" / "two.mp4", 5, images)
    with pytest.raises(UserError, match=r"two.mp4: the scene changes at frame 3"):
        make(tmp_path / "v", tmp_path / "out")


def test_places_without_videos(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("text")
    for place, message in [
        (tmp_path / "nowhere", "no such file or folder"),
        (tmp_path / "empty", "no videos and no folders"),
        (tmp_path / "text.txt", "not a video"),
    ]:
        with pytest.raises(UserError, match=message):
            find_clips(place)
    video_clip(tmp_path / "twice" / "a.mp4")
    image_clip(tmp_path / "twice" / "a")
    with pytest.raises(UserError, match=r"has the same name as a"):
        find_clips(tmp_path / "twice")


def test_one_video_or_one_folder_of_images_is_a_clip(videos, tmp_path):
    assert [each.name for each in find_clips(videos / "a")] == ["a"]
    assert [each.name for each in find_clips(video_clip(tmp_path / "x.mp4"))] == ["x"]


def test_out_that_holds_something_else(videos, tmp_path):
    out = tmp_path / "out"
    make(videos, out, Recipe(duty_cycle=(0.5, 0.5)))
    with pytest.raises(UserError, match=r"made with duty_cycle = \[0.5, 0.5\], not \[0.6, 0.6\]"):
        make(videos, out, Recipe(duty_cycle=(0.6, 0.6)))
    (videos / "a" / "0005.png").unlink()
    with pytest.raises(UserError, match=r"out/a: was made from another a"):
        make(videos, out, Recipe(duty_cycle=(0.5, 0.5)))
    with pytest.raises(UserError, match=r"videos: is not empty"):
        make(videos, videos)


def test_two_processes_do_not_write_to_one_folder(videos, tmp_path):
    (tmp_path / "out").mkdir()
    with (
        filelock.FileLock(tmp_path / "out" / ".lock", is_singleton=False),
        pytest.raises(UserError, match=r"out: another process is writing there"),
    ):
        make(videos, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duty_cycle": (0.9, 0.5)}, r"duty_cycle is 0.9 .. 0.5"),
        ({"duty_cycle": (0.5, 1.2)}, r"duty_cycle is 0.5 .. 1.2"),
        ({"interval": (0, 2)}, r"interval is 0 .. 2, but must ascend, from 1 to 10000"),
        ({"interval": (1, 10**400)}, r"interval is 1 .. huge, but must ascend"),
        ({"highlights": (1, float("inf"))}, r"highlights is 1 .. huge, but must ascend"),
        ({"noise": (0.0, 2.0)}, r"noise is 0 .. 2"),
        ({"jpeg": (0, 50)}, r"jpeg is 0 .. 50"),
        ({"scale": 1.5}, r"scale is 1.5"),
        ({"seed": -1}, r"seed is -1"),
        ({"whole_frames": True}, r"holds no three of them; raise interval"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UserError, match=message):
        Recipe(**settings)


def test_a_range_on_the_command_line(tmp_path, capsys):
    command = ["data", "synthesize", str(tmp_path), str(tmp_path / "out")]
    assert main([*command, "--duty-cycle", "0.1", "0.2", "0.3"]) == 2
    assert (
        "--duty-cycle: expects one number, or the ends of a range; got 3" in capsys.readouterr().err
    )


def test_videos_as_a_source(videos, tmp_path):
    def source(**settings):
        recipe = Recipe(duty_cycle=(0.8, 0.8))
        return Videos(str(videos), recipe, cache=str(tmp_path / "cache"), **settings)

    train, val = source(exclude=["b"]).open((0, 1), (1,)), source(clips=["b"]).open((0, 1), (1,))
    assert [key[0] for key in train.keys + val.keys] == ["a"] * 4 + ["b"] * 4
    (folder,) = (tmp_path / "cache").iterdir()  # one for both
    before = contents(folder)
    source().open((-1, 0, 1), ())
    assert contents(folder) == before
    with pytest.raises(UserError, match=r"video c not found; available: a, b"):
        source(clips=["c"]).open((0,), ())
    with pytest.raises(UserError, match=r"no videos selected"):
        source(exclude=["a", "b"]).open((0,), ())


def test_training_on_videos(videos, tmp_path, capsys):
    command = [
        "train", "debug=fast", "model.width=4", "data=video", f"data.root={videos}",
        "data.val.clips=[b]", "data.workers=0", "data.patch=[32,32]", "data.eval_batch_size=1",
        "data.train.recipe.scale=1.0", f"data.train.cache={tmp_path / 'cache'}",
        "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path / 'run'}",
    ]  # fmt: skip
    assert main(command) == 0
    assert "blurry input" in capsys.readouterr().out
