from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest
import torch
from tests.video.clips import make_image

from flowdeblur.errors import UserError
from flowdeblur.video.clip import Frame
from flowdeblur.video.images import write_image
from flowdeblur.video.journal import Journal, is_unfinished, origin
from flowdeblur.video.reader import ImageReader
from flowdeblur.video.writer import writing_images


def frame(name):
    return Frame(make_image(), name, Fraction(0))


def interrupted(journal, *names):
    def run():
        with writing_images(journal) as sink:
            for name in names:
                sink(frame(name))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()


def written(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_folder_is_resumed(tmp_path, caplog):
    folder = tmp_path / "out"
    interrupted(Journal(folder, "origin"), "a", "b.c", 'd"\n')
    assert is_unfinished(folder)
    assert caplog.messages == [f"{folder}: 3 frames are kept; the same command resumes from there"]
    again = Journal(folder, "origin")
    assert again.done == {"a", "b.c", 'd"\n'}
    with writing_images(again) as sink:
        sink(frame("e"))
    assert written(folder) == ["a.png", "b.c.png", 'd"\n.png', "e.png"]
    assert not is_unfinished(folder)


def test_another_origin_is_refused(tmp_path):
    interrupted(Journal(tmp_path / "out", "one"), "a")
    with pytest.raises(UserError, match=r"out: was begun with another input, weights or options"):
        Journal(tmp_path / "out", "other")
    assert Journal(tmp_path / "out", "other", anew=True).done == set()


def test_a_line_that_was_cut_off_does_not_count(tmp_path):
    folder = tmp_path / "out"
    interrupted(Journal(folder, "origin"), "a", "bcd")
    path = folder / ".unfinished"
    path.write_text(path.read_text()[:-4])
    assert Journal(folder, "origin").done == {"a"}
    interrupted(Journal(folder, "origin"), "bcd", "e")  # nothing is appended to it
    assert Journal(folder, "origin").done == {"a", "bcd", "e"}


def test_an_interruption_before_the_first_frame_leaves_nothing(tmp_path):
    interrupted(Journal(tmp_path / "out", "origin"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.png").touch()
    interrupted(Journal(tmp_path, "origin", anew=True))
    assert written(tmp_path) == ["mine.png"]


def test_overwriting_an_unfinished_folder_keeps_it_unfinished(tmp_path):
    interrupted(Journal(tmp_path, "one"), "a")
    interrupted(Journal(tmp_path, "other", anew=True))
    assert is_unfinished(tmp_path)
    assert Journal(tmp_path, "other").done == set()


def test_the_origin_follows_input_weights_and_options(tmp_path):
    for name in ("1.png", "2.png"):
        write_image(tmp_path / name, make_image())
    paths = [tmp_path / "1.png", tmp_path / "2.png"]

    def now(count=2, seed=0, *options):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.BatchNorm2d(3))
        return origin(ImageReader(tmp_path, paths[:count], Fraction(25)), network, *options)

    first = now()
    assert now() == first
    others = {first, now(1), now(2, 1), now(2, 0, "bf16")}
    os.utime(paths[1], (1, 1))
    others.add(now())
    assert len(others) == 5


def test_an_image_that_cannot_be_decoded_is_copied(tmp_path):
    broken = tmp_path / "1.jpg"
    broken.write_bytes(b"not an image")
    with writing_images(Journal(tmp_path / "out", "origin")) as sink:
        sink(Frame(np.zeros((2, 2, 3), np.uint8), "1", Fraction(0), damaged=True, file=broken))
    assert written(tmp_path / "out") == ["1.jpg"]
    assert (tmp_path / "out" / "1.jpg").read_bytes() == b"not an image"
