from __future__ import annotations

import pytest

from flowdeblur.files import filling, replacing


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
