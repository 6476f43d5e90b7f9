from __future__ import annotations

import multiprocessing
import os
import re
import time

import pytest

from flowdeblur import files
from flowdeblur.errors import UserError
from flowdeblur.files import demand_regular, filling, replacing, write_bytes


def test_a_file_appears_complete(tmp_path):
    path = tmp_path / "out.mp4"
    with replacing(path) as partial:
        partial.write_text("new")
        assert partial.suffix == ".mp4"
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_keeps_the_earlier_file_and_leaves_nothing(tmp_path, error):
    path = tmp_path / "out.mp4"
    path.write_text("old")

    def interrupted():
        with replacing(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appeared_meanwhile_stays(tmp_path):
    path = tmp_path / "a.mp4"

    def write():
        with replacing(path, overwrite=False) as partial:
            partial.write_text("second")
            path.write_text("first")

    with pytest.raises(UserError, match="another command has written it"):
        write()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a.mp4", "first")]


def test_a_folder_appears_complete(tmp_path):
    folder = tmp_path / "frames"
    with filling(folder) as partial:
        (partial / "1.png").write_text("new")
        assert not folder.exists()
    assert [each.name for each in folder.iterdir()] == ["1.png"]
    assert list(tmp_path.iterdir()) == [folder]


def test_an_existing_folder_keeps_its_other_files(tmp_path):
    for name in ("1.png", "mine.txt"):
        (tmp_path / name).write_text("old")
    with filling(tmp_path) as partial:
        (partial / "1.png").write_text("new")
    assert (tmp_path / "1.png").read_text() == "new"
    assert (tmp_path / "mine.txt").read_text() == "old"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_no_folder(tmp_path, error):
    def interrupted():
        with filling(tmp_path / "frames") as partial:
            (partial / "1.png").write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def write_and_die(path):
    with replacing(path) as partial:
        partial.write_text("half")
        os.kill(os.getpid(), 9)


def fill_and_die(folder):
    with filling(folder) as partial:
        (partial / "1.png").write_text("half")
        os.kill(os.getpid(), 9)


def start(function, path):
    process = multiprocessing.get_context("fork").Process(target=function, args=(path,))
    process.start()
    return process


def test_leftovers_of_killed_processes_are_removed_by_the_next_one(tmp_path):
    start(write_and_die, tmp_path / "out.mp4").join()
    assert [each.is_dir() for each in tmp_path.iterdir()] == [False]
    start(fill_and_die, tmp_path / "frames").join()  # which removes the file
    assert [each.is_dir() for each in tmp_path.iterdir()] == [True]
    start(write_bytes_of_child, tmp_path / "other.txt").join()
    assert [each.name for each in tmp_path.iterdir()] == ["other.txt"]


def write_bytes_of_child(path):
    files.remove_leftovers.cache_clear()
    write_bytes(path, b"whole")


def test_partial_files_of_running_processes_and_other_hosts_stay(tmp_path):
    with replacing(tmp_path / "out.mp4") as partial:
        partial.write_text("half")
        elsewhere = tmp_path / partial.name.replace(files._HOST, "0" * 8)
        elsewhere.write_text("half")
        (tmp_path / ".notes.partial-1.txt").write_text("the user's")
        before = set(tmp_path.iterdir())
        start(write_bytes_of_child, tmp_path / "other.txt").join()
        assert set(tmp_path.iterdir()) == {*before, tmp_path / "other.txt"}
        weeks_ago = time.time() - 2 * files._ABANDONED_S
        os.utime(elsewhere, (weeks_ago, weeks_ago))
        start(write_bytes_of_child, tmp_path / "other.txt").join()
        assert not elsewhere.exists()


def test_the_longest_names_can_be_written(tmp_path):
    for name in ("x" * 251 + ".mp4", "." + "x" * 254, "ü" * 127):
        write_bytes(tmp_path / name, b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"


def test_what_may_never_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    demand_regular(tmp_path / "missing")  # whoever opens it reports that
    for path, kind in (
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path, "a folder"),
        (files.Path("/dev/zero"), "not a regular file"),
    ):
        with pytest.raises(UserError, match=re.escape(f"{path}: is {kind}; name a regular file")):
            demand_regular(path)
