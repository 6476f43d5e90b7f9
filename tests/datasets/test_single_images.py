"""HIDE and RealBlur: data sets without neighbours."""

from __future__ import annotations

import pytest
import torch
from tests.datasets.test_official import FRAMES, keys, publish, write

from flowdeblur.datasets import HIDE, GoPro, RealBlur
from flowdeblur.datasets.published import Published
from flowdeblur.errors import UserError
from flowdeblur.video.images import write_image


@pytest.fixture
def hide(tmp_path, monkeypatch):
    publish(monkeypatch, HIDE, "test", Published(2, 2, "HIDE_dataset.zip", "b"))
    for folder, name, pair in (
        ("train", "1fromGOPR1089.MP4", FRAMES[0]),
        ("test/test-close-ups", "13fromGOPR0923.MP4", FRAMES[1]),
        ("test/test-long-shot", "41fromGOPR1041.MP4", FRAMES[2]),
    ):
        for place, image in zip((folder, "GT"), pair, strict=True):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / place / f"{name}.png", image)
    return tmp_path


def test_hide_gives_an_image_for_its_neighbours(hide):
    assert keys(HIDE(str(hide), "train")) == ["train/1fromGOPR1089.MP4"]
    samples = HIDE(str(hide), "test").open((-1, 0, 1), ())
    assert samples.keys == [
        "test-close-ups/13fromGOPR0923.MP4",
        "test-long-shot/41fromGOPR1041.MP4",
    ]
    blurry, sharp = (torch.from_numpy(each).permute(2, 0, 1) for each in FRAMES[1])
    assert torch.equal(samples[0]["frames"], torch.stack([blurry] * 3))
    assert torch.equal(samples[0]["sharp"], sharp)
    assert keys(HIDE(str(hide), "test", first=1)) == samples.keys[1:]
    with pytest.raises(UserError, match=r"data.\*.first=2: must be below 2, the number of imag"):
        HIDE(str(hide), "test", first=2).open((0,), ())
    (hide / "GT/41fromGOPR1041.MP4.png").unlink()
    with pytest.raises(UserError, match=r"41fromGOPR1041.MP4.png: has no sharp frame"):
        HIDE(str(hide), "test").open((0,), ())


def test_single_images_are_scored_whole(hide, realblur, monkeypatch):
    (hide / "test/test-long-shot/41fromGOPR1041.MP4.png").unlink()
    publish(monkeypatch, RealBlur, "test", Published(980, 980, "RealBlur.tar.gz", "b"))
    for source, message in (
        (HIDE(str(hide), "test"), "1 images instead of 2; unpack HIDE_dataset.zip again"),
        (HIDE(str(hide), "test", every=40), "1 images instead of 2"),
        (RealBlur(str(realblur), "test"), "1 images instead of 980; unpack RealBlur.tar.gz"),
    ):
        with pytest.raises(UserError, match=rf"split test: is not as published: {message}"):
            source.open((0,), ())
    assert len(keys(HIDE(str(hide), "train"))) == len(keys(RealBlur(str(realblur), "train"))) == 1


@pytest.mark.parametrize("source", [GoPro, HIDE])
@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"every": 0}, r"^data.\*.every=0: must be 1 or above"),
        ({"every": -1}, r"^data.\*.every=-1: must be 1 or above"),
        ({"first": -1}, r"^data.\*.first=-1: must be 0 or above"),
    ],
)
def test_frames_that_cannot_be_chosen(source, choice, message, hide):
    write(hide, "train/G/blur", "train/G/sharp")
    with pytest.raises(UserError, match=message):
        source(str(hide), "train", **choice).open((0, 1), ())


@pytest.fixture
def realblur(tmp_path, monkeypatch):
    publish(monkeypatch, RealBlur, "test", Published(1, 1, "RealBlur.tar.gz", "b"))
    folder = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"
    lines = []
    for number, scene in ((1, "scene001"), (7, "scene230")):
        pair = FRAMES[number % 3]
        for kind, image in zip(("blur", "gt"), pair, strict=True):
            (tmp_path / folder / scene / kind).mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / folder / scene / kind / f"{kind}_{number}.png", image)
        place = f"{folder}/{scene}"
        lines.append(f"{place}/gt/gt_{number}.png {place}/blur/blur_{number}.png\n")
    (tmp_path / "RealBlur_J_train_list.txt").write_text(lines[0])
    (tmp_path / "RealBlur_J_test_list.txt").write_text(lines[1])
    return tmp_path


def test_realblur_follows_the_authors_lists(realblur):
    assert keys(RealBlur(str(realblur), "train")) == ["scene001/1"]
    sample = RealBlur(str(realblur), "test").open((0, 1), ())[0]
    blurry, sharp = (torch.from_numpy(each).permute(2, 0, 1) for each in FRAMES[1])
    assert sample["key"] == "scene230/7"
    assert torch.equal(sample["frames"], torch.stack([blurry, blurry]))
    assert torch.equal(sample["sharp"], sharp)


def test_realblur_names_what_is_missing(realblur):
    with pytest.raises(UserError, match=r"RealBlur_R_test_list.txt: cannot be read .*; unpack"):
        RealBlur(str(realblur), "test", subset="R").open((0,), ())
    listed = realblur / "RealBlur_J_test_list.txt"
    (realblur / listed.read_text().split()[1]).unlink()
    with pytest.raises(UserError, match=r"blur_7.png: cannot be read"):
        RealBlur(str(realblur), "test").open((0,), ())
    listed.write_text("one\n")
    with pytest.raises(UserError, match=r"line 1 is not two files"):
        RealBlur(str(realblur), "test").open((0,), ())
