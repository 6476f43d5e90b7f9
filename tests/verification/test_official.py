"""Verification of the published data sets: whole, or with a remedy."""

from __future__ import annotations

import shutil

import pytest
from tests.datasets.fakes import SIZE, pan, write_clip
from tests.verification.test_verification import cut, found, the_one

from flowdeblur.datasets import BSD, DVD, HIDE, REDS, GoPro, RealBlur
from flowdeblur.datasets.published import Published
from flowdeblur.verification import verify
from flowdeblur.video.images import write_image

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
