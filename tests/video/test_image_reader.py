"""Folders of images as clips."""

from __future__ import annotations

from fractions import Fraction

import pytest
from tests.video.clips import make_image, number

from flowdeblur.errors import UserError
from flowdeblur.video.images import list_images, write_image
from flowdeblur.video.reader import ImageReader


@pytest.fixture
def folder(tmp_path):
    for index in range(3):
        write_image(tmp_path / f"{index + 9}.png", make_image(index))
    return tmp_path


def test_frames_of_a_folder(folder):
    reader = ImageReader(folder, list_images(folder), Fraction(25))
    frames = list(reader)
    assert [frame.name for frame in frames] == ["9", "10", "11"]
    assert [number(frame.image) for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == [0, Fraction(1, 25), Fraction(2, 25)]
    assert (reader.size, reader.count) == ((48, 64), 3)


def test_the_first_image_of_another_size_is_named(folder):
    write_image(folder / "10.png", make_image(0, (32, 64)))
    write_image(folder / "11.png", make_image(0, (16, 64)))
    with pytest.raises(UserError, match=r"10\.png: is 64x32, but the first frame 9\.png is 64x48"):
        ImageReader(folder, list_images(folder), Fraction(25))


def test_two_images_of_one_name_are_refused(folder):
    write_image(folder / "10.jpg", make_image())
    with pytest.raises(UserError, match=r"10\.jpg: another frame is named 10; remove one"):
        ImageReader(folder, list_images(folder), Fraction(25))


def test_images_that_cannot_be_decoded_are_marked(folder):
    (folder / "9.png").write_bytes((folder / "9.png").read_bytes()[:60])
    (folder / "11.png").write_bytes(b"")
    reader = ImageReader(folder, list_images(folder), Fraction(25))
    frames = list(reader)
    assert [frame.damaged for frame in frames] == [True, False, True]
    assert [number(frame.image) for frame in frames] == [1, 1, 1]
    assert [frame.file for frame in frames] == [folder / "9.png", None, folder / "11.png"]
    assert reader.damage == "damaged frames, passed through as they are: 9.png, 11.png"
    assert (reader.size, reader.count) == ((48, 64), 3)


def test_a_folder_of_nothing_but_damage_is_refused(tmp_path):
    for name in ("1.png", "2.jpg"):
        (tmp_path / name).write_text("text")
    with pytest.raises(UserError, match=r"\.(png|jpg): is truncated or not an image"):
        ImageReader(tmp_path, list_images(tmp_path), Fraction(25))
