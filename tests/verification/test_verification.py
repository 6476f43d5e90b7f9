"""Verification of data sets: healthy fakes pass; each kind of damage is reported with a remedy."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image
from tests.datasets.fakes import SIZE, pan, write_clip

from flowdeblur.datasets import FrameFolders
from flowdeblur.errors import UserError
from flowdeblur.verification import verify
from flowdeblur.verification.findings import to_table
from flowdeblur.video.images import read_image, write_image

COUNT = 6


@pytest.fixture(scope="session")
def healthy(tmp_path_factory):
    """Two clips to train on, one of them upright, and one to score."""
    root = tmp_path_factory.mktemp("healthy")
    for name, start, size in (
        ("train/walk", (10, 40), SIZE),
        ("train/tower", (200, 300), SIZE[::-1]),
        ("val/street", (300, 100), SIZE),
    ):
        folder = root / name
        frames = pan(COUNT, start=start, size=size)
        write_clip(folder / "blurry", folder / "sharp", frames, first=8)
    return root


@pytest.fixture
def root(healthy, tmp_path):
    return shutil.copytree(healthy, tmp_path / "data")


def frames(root):
    return {
        split: FrameFolders(str(root), f"{split}/*/blurry", f"{split}/*/sharp")
        for split in ("train", "val")
    }


def found(sources):
    report = verify(sources, workers=2)
    return [(each.where, each.wrong, each.remedy) for each in report.findings]


def the_one(sources):
    (finding,) = found(sources)
    return finding


def test_nothing_is_wrong_with_a_healthy_data_set(root):
    report = verify(frames(root))
    assert report.findings == []
    assert report.contents == [
        ("train", "2", "12", "", "72x96, 96x72"),
        ("val", "1", "6", "", "72x96"),
    ]
    assert "no problems found" in report.to_text(80)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def deep(path):
    write_image(path, read_image(path).astype(np.uint16) * 257)


def text(path):
    path.write_text("no image")


@pytest.mark.parametrize(
    ("damage", "wrong", "remedy"),
    [
        (cut, "00009.png: is truncated or not an image", "replace or remove it"),
        (empty, "00009.png: is truncated or not an image", "replace or remove it"),
        (text, "00009.png: is truncated or not an image", "replace or remove it"),
        (deep, "00009.png: has 16 bits per channel", "convert it to 8 bits"),
    ],
)
@pytest.mark.parametrize("kind", ["blurry", "sharp"])
def test_files_that_do_not_decode(root, kind, damage, wrong, remedy):
    damage(root / "train/walk" / kind / "00009.png")
    assert the_one(frames(root)) == (f"train/walk/{kind}", wrong, remedy)


def test_a_frame_without_its_other_half(root):
    (root / "train/walk/sharp/00008.png").unlink()
    where, wrong, remedy = the_one(frames(root))
    assert (where, wrong) == ("train/walk/sharp", "no sharp version of 1 frame of blurry: 00008")
    assert remedy == f"put it there, or delete the frame from {root / 'train/walk/blurry'}"
    (root / "train/walk/blurry/00008.png").unlink()
    (root / "train/walk/blurry/00013.png").unlink()
    where, wrong, _ = the_one(frames(root))
    assert (where, wrong) == ("train/walk/blurry", "no blurry version of 1 frame of sharp: 00013")


def test_all_sharp_frames_missing(root):
    shutil.rmtree(root / "val/street/sharp")
    where, wrong, _ = the_one(frames(root))
    assert where == "val/street/sharp"
    assert wrong.startswith("no sharp version of 6 frames of blurry: 00008, 00009, 00010")


def test_frames_that_do_not_follow_one_another(root):
    for kind in ("blurry", "sharp"):
        (root / "train/walk" / kind / "00010.png").unlink()
    where, wrong, _ = the_one(frames(root))
    assert (where, wrong) == ("train/walk/blurry", "frames are missing between 00009 and 00011")


def test_clips_that_begin_with_frame_0(root):
    for kind in ("blurry", "sharp"):
        renumber(root / "train/walk" / kind, -8)
    assert found(frames(root)) == []
    (root / "train/walk/blurry/00003.png").unlink()
    where, wrong, _ = the_one(frames(root))
    assert (where, wrong) == ("train/walk/blurry", "no blurry version of 1 frame of sharp: 00003")


def test_a_frame_twice(root):
    folder = root / "train/walk/blurry"
    shutil.copy(folder / "00009.png", folder / "00009.bmp")
    wrong = [wrong for _, wrong, _ in found(frames(root))]
    assert "no sharp version of 1 frame of blurry: 00009.png" in wrong


def test_frames_of_another_size(root):
    write_image(root / "train/walk/sharp/00011.png", pan(1, size=(72, 95))[0][1])
    assert the_one(frames(root)) == (
        "train/walk/sharp",
        "00011.png: 72x95 pixels, but the clip is 72x96",
        "make all frames of the clip one size",
    )


def renumber(folder, by):
    paths = sorted(folder.iterdir(), reverse=by > 0)
    for path in paths:
        path.rename(folder / f"{int(path.stem) + by:05d}.png")


@pytest.mark.parametrize(("by", "word", "remedy"), [(1, "before", "lower"), (-1, "after", "raise")])
def test_blurry_and_sharp_frames_one_apart(root, by, word, remedy):
    renumber(root / "train/walk/blurry", by)
    findings = found(frames(root))
    (row,) = [row for row in findings if "one frame apart" in row[1]]
    assert row[0] == "train/walk/blurry"
    assert row[1].endswith(f"match the sharp frame {word} their own")
    assert row[2] == f"{remedy} the numbers of the blurry frames by one"
    renumber(root / "train/walk/blurry", -by)
    assert found(frames(root)) == []


def test_two_frames_exchanged(root):
    folder = root / "train/walk/sharp"
    (folder / "00010.png").rename(folder / "x.png")
    (folder / "00011.png").rename(folder / "00010.png")
    (folder / "x.png").rename(folder / "00011.png")
    findings = [row for row in found(frames(root)) if "nearer" in row[1]]
    ((where, wrong, _),) = findings
    assert where == "train/walk/blurry"
    assert "00010" in wrong
    assert "00011" in wrong


def test_a_sharp_frame_of_another_scene(root):
    write_image(root / "train/walk/sharp/00010.png", pan(1, start=(380, 400))[0][1])
    ((where, wrong, _),) = [row for row in found(frames(root)) if "unlike" in row[1]]
    assert where == "train/walk/blurry"
    assert wrong.endswith("correlation below 0.5): 00010")


def test_displaced_sharp_frames(tmp_path):
    pairs = zip(pan(COUNT, start=(40, 40)), pan(COUNT, start=(42, 34)), strict=True)
    frames = [(blurry, sharp) for (blurry, _), (_, sharp) in pairs]
    write_clip(tmp_path / "a/input", tmp_path / "a/GT", frames)
    where, wrong, remedy = the_one({"train": FrameFolders(str(tmp_path))})
    assert where == "a/input"
    numbers = wrong.partition("(")[2].partition(")")[0].split(",")
    np.testing.assert_allclose([float(each) for each in numbers], (2, -6), atol=0.7)
    assert remedy.startswith("cut both")


@pytest.mark.parametrize(("phase", "word"), [(0.0, "before"), (1.0, "after")])
def test_sharp_frames_from_an_end_of_the_exposure(tmp_path, phase, word):
    for name, motion in (("a", (5, 1)), ("b", (-4, 3)), ("c", (1, -5))):
        clip = pan(COUNT, start=(100, 100), motion=motion, phase=phase)
        write_clip(tmp_path / name / "input", tmp_path / name / "GT", clip)
    where, wrong, _ = the_one({"train": FrameFolders(str(tmp_path))})
    assert where == "train"
    assert wrong.endswith(f"of a frame interval {word} the middle of the exposure")
    interval = float(wrong.split("scene ")[1].split()[0])
    assert interval == pytest.approx(0.5, abs=0.1)


def test_a_video_in_training_and_validation(root):
    shutil.copytree(root / "val/street", root / "train/renamed")
    where, wrong, remedy = the_one(frames(root))
    assert (where, wrong) == ("val: street", "12 images also in training, in clip renamed")
    folder = root / "train/renamed"
    assert remedy == f"move {folder / 'blurry'} and {folder / 'sharp'} away"


def test_recompressed_copies_are_found_by_their_pixels(root):
    image = Image.open(root / "val/street/blurry/00009.png")
    image.save(root / "train/walk/blurry/00009.png", compress_level=0)
    wrong = [wrong for _, wrong, _ in found(frames(root))]
    assert "1 image also in training, in clip walk" in wrong


def test_black_frames_are_no_leak(root):
    for clip in ("train/walk", "val/street"):
        for kind in ("blurry", "sharp"):
            write_image(root / clip / kind / "00008.png", np.zeros((*SIZE, 3), np.uint8))
    assert not [row for row in found(frames(root)) if "training" in row[1]]


def test_names_in_both_splits(root):
    (root / "train/walk").rename(root / "train/street")
    _, wrong, _ = the_one(frames(root))
    assert wrong == "1 clip named as in training: street"
    (root / "train/street").rename(root / "train/000")
    (root / "val/street").rename(root / "val/000")
    assert found(frames(root)) == []  # every split may count its clips from 0


def test_nothing_there(root):
    sources = frames(root.parent)
    assert [row[::2] for row in found(sources)] == [
        ("train", f"give {root} as the root"),
        ("val", f"give {root} as the root"),
    ]
    missing = {"train": FrameFolders(str(root), "nowhere/*/a", "nowhere/*/b")}
    where, wrong, remedy = the_one(missing)
    assert (where, wrong) == ("train", f"nothing at {root / 'nowhere/*/a'}")
    assert remedy.startswith("give the folder that contains nowhere/*/a as the root")
    with pytest.raises(UserError, match="/nowhere: no such folder"):
        verify({"train": FrameFolders("/nowhere")})


def test_a_table_keeps_within_the_terminal():
    rows = [("where", "what", "remedy"), ("a" * 50, "word " * 30, "do " * 30)]
    lines = to_table(rows, 72).splitlines()
    assert max(map(len, lines)) <= 72
    words = " ".join(lines)
    assert words.count("word") == 30
    assert words.count("do") == 30
    assert words.replace(" ", "").count("a" * 10) >= 2
