"""Verification of data sets: healthy fakes pass; each kind of damage is reported with a remedy."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image
from tests.datasets.fakes import SIZE, pan, write_clip

from flowdeblur.datasets import BSD, DVD, HIDE, REDS, FrameFolders, GoPro, RealBlur
from flowdeblur.datasets.published import Published
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


DVD_FOLDER = "quantitative_datasets/{1}"
LAYOUTS = {
    DVD: ("train", "test", f"{DVD_FOLDER}/input", f"{DVD_FOLDER}/GT", ".jpg"),
    GoPro: ("train", "test", "{0}/{1}/blur", "{0}/{1}/sharp", ".png"),
    REDS: ("train", "val", "{0}/{0}_blur/{1}", "{0}/{0}_sharp/{1}", ".png"),
}  # fmt: skip


@pytest.fixture(params=LAYOUTS, ids=lambda source: source.__name__)
def official(request, tmp_path, monkeypatch):
    """A fake of a published data set, in which both of its splits have two short clips."""
    source = request.param
    train, test, blurry, sharp, suffix = LAYOUTS[source]
    for split, names, corner in ((train, ("000", "001"), 20), (test, ("010", "011"), 250)):
        published = Published.by_name(dict.fromkeys(names, 3), "A.zip", "https://a", SIZE)
        monkeypatch.setitem(source.splits, split, published)
        for number, name in enumerate(names):
            frames = pan(3, start=(corner, corner + 120 * number), motion=(5, 2))
            folders = (tmp_path / each.format(split, name) for each in (blurry, sharp))
            write_clip(*folders, frames, suffix=suffix)
    sources = {split: source(str(tmp_path), split) for split in (train, test)}
    return sources, tmp_path / blurry.format(test, "011"), tmp_path / sharp.format(test, "011")


def test_published_data_sets(official):
    sources, _, _ = official
    report = verify(sources)
    assert report.findings == []
    assert [row[1:4] for row in report.contents] == [("2", "6", "2 / 6")] * 2


def test_a_missing_clip(official):
    sources, blurry, sharp = official
    split = list(sources)[1]
    shutil.rmtree(blurry)
    shutil.rmtree(sharp)
    assert the_one(sources) == (split, "1 of 2 clips missing: 011", "unpack A.zip again")


def test_a_missing_frame(official):
    sources, blurry, sharp = official
    split = list(sources)[1]
    for folder in (blurry, sharp):
        sorted(folder.iterdir())[2].unlink()
    wrong = "1 clip not of the published length: 011 (2 of 3)"
    assert the_one(sources) == (split, wrong, "unpack A.zip again")


def test_damaged_files_are_to_be_unpacked_again(official):
    sources, blurry, _ = official
    cut(sorted(blurry.iterdir())[1])
    assert the_one(sources)[2] == "unpack A.zip again"
    assert "download from https://a" in verify(sources).to_text(100)


def test_a_clip_that_was_not_published(official):
    sources, blurry, sharp = official
    renamed = [
        folder.parent / folder.name.replace("011", "x")
        if folder.name == "011"
        else folder.parents[1] / "x" / folder.name
        for folder in (blurry, sharp)
    ]
    for old, new in zip((blurry, sharp), renamed, strict=True):
        shutil.copytree(old, new)
    surplus = [row for row in found(sources) if "not among the published" in row[1]]
    assert [row[1:] for row in surplus] == [
        ("1 clip not among the published: x", f"move {renamed[0]} and {renamed[1]} away")
    ]


def test_frames_that_were_made_smaller(official, monkeypatch):
    sources, _, _ = official
    split, source = list(sources.items())[1]
    larger = Published.by_name(source.published.lengths, "A.zip", "https://a", (144, 192))
    monkeypatch.setitem(type(source).splits, split, larger)
    where, wrong, remedy = the_one(sources)
    assert where == split
    assert wrong == "2 clips of another size, 72x96 for one instead of 144x192: 010, 011"
    assert "do not compare" in remedy


def test_bsd_is_counted(tmp_path, monkeypatch):
    monkeypatch.setitem(BSD.splits, "train", Published(1, 3, "B.zip", "https://b", size=SIZE))
    folder = tmp_path / "BSD_3ms24ms/train/000"
    write_clip(folder / "Blur/RGB", folder / "Sharp/RGB", pan(3), digits=8)
    source = {"train": BSD(str(tmp_path), "train")}
    assert found(source) == []
    for kind in ("Blur", "Sharp"):
        (folder / kind / "RGB/00000002.png").unlink()
    assert the_one(source)[1] == "2 frames, but 3 were published"
    shutil.copytree(folder, folder.with_name("001"))
    assert the_one(source)[1] == "2 clips, but 1 were published"


def test_single_images(tmp_path, monkeypatch):
    for split, count in (("train", 4), ("test", 3)):
        monkeypatch.setitem(HIDE.splits, split, Published(count, count, "H.zip", "https://h"))
    images = [pan(1, start=(30 + 55 * number, 80), motion=(7, 2))[0] for number in range(7)]
    for number, pair in enumerate(images):
        folder = "train" if number < 4 else "test/test-close-ups"
        for place, image in zip((folder, "GT"), pair, strict=True):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / place / f"{number}fromGOPR.MP4.png", image)
    sources = {split: HIDE(str(tmp_path), split) for split in ("train", "test")}
    assert found(sources) == []
    write_image(tmp_path / "GT/2fromGOPR.MP4.png", pan(1, start=(380, 400))[0][1])
    ((where, wrong, _),) = [row for row in found(sources) if "unlike" in row[1]]
    assert (where, wrong.rpartition(" ")[2]) == ("train", "train/2fromGOPR.MP4")
    (tmp_path / "GT/2fromGOPR.MP4.png").unlink()
    assert the_one(sources)[1] == "no sharp version of 1 frame of train: 2fromGOPR.MP4"
    shutil.copy(tmp_path / "train/1fromGOPR.MP4.png", tmp_path / "test/test-close-ups")
    wrong = {row[1]: row[2] for row in found(sources)}
    assert wrong["4 pairs, but 3 were published"] == "unpack H.zip again"
    leak = wrong["2 images also in training, in clip train"]
    assert leak.endswith("1fromGOPR.MP4.png away")


def test_realblur_with_a_file_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(RealBlur.splits, "test", Published(1, 1, "R.tar.gz", "https://r"))
    place = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref/scene230"
    (tmp_path / "RealBlur_J_test_list.txt").write_text(
        f"{place}/gt/gt_7.png {place}/blur/blur_7.png\n"
    )
    for kind, image in zip(("blur", "gt"), pan(1)[0], strict=True):
        (tmp_path / place / kind).mkdir(parents=True)
        write_image(tmp_path / place / kind / f"{kind}_7.png", image)
    source = {"test": RealBlur(str(tmp_path), "test")}
    assert found(source) == []
    (tmp_path / place / "gt/gt_7.png").unlink()
    where, wrong, remedy = the_one(source)
    assert (where, remedy) == (f"{place}/gt", "unpack R.tar.gz again")
    assert wrong.startswith("gt_7.png: cannot be read")


def test_a_table_keeps_within_the_terminal():
    rows = [("where", "what", "remedy"), ("a" * 50, "word " * 30, "do " * 30)]
    lines = to_table(rows, 72).splitlines()
    assert max(map(len, lines)) <= 72
    words = " ".join(lines)
    assert words.count("word") == 30
    assert words.count("do") == 30
    assert words.replace(" ", "").count("a" * 10) >= 2
