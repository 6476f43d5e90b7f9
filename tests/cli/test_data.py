from __future__ import annotations

import shutil

import pytest
from tests.datasets.fakes import SIZE, pan, write_clip

from flowdeblur.cli import main
from flowdeblur.datasets import GoPro
from flowdeblur.datasets.published import Published


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(("train/a", "val/b")):
        folder = tmp_path / name
        frames = pan(4, start=(40 + 200 * number, 60))
        write_clip(folder / "blurry", folder / "sharp", frames)
    return tmp_path


def test_verify_healthy_frames(root, capsys):
    assert main(["data", "verify", "frames", str(root), "--workers", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1:] == [
        "train      1      4                  72x96",
        "val, test  1      4                  72x96",
        "",
        "no problems found",
    ]
    assert printed.err == ""


def test_verify_damaged_frames(root, capsys):
    (root / "train/a/sharp/00002.png").unlink()
    (root / "val/b/blurry/00001.png").write_text("")
    assert main(["data", "verify", "frames", str(root)]) == 1
    printed = capsys.readouterr().out
    assert "2 problems:" in printed
    assert "train/a/sharp" in printed
    assert main(["data", "verify", "frames", str(root), "--split", "train"]) == 1
    assert "1 problem:" in capsys.readouterr().out


def test_verify_reports_splits_in_the_same_folders(root, capsys):
    shutil.move(root / "val/b", root / "train/b")
    same = ["val.blurry=train/*/blurry", "val.sharp=train/*/sharp"]
    assert main(["data", "verify", "frames", str(root), *same]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "2 clips read from the" in printed
    assert printed.count("as in training") == 1
    assert main(["data", "verify", "frames", str(root), *same, "--split", "val"]) == 0


def test_verify_takes_the_settings_of_the_data_set(root, capsys):
    shutil.move(root / "train/a", root / "one [1]")
    command = ["data", "verify", "frames", str(root), "--split", "train"]
    settings = ["train.blurry=one*/blurry", "train.sharp=one*/sharp"]
    assert main([*command, *settings]) == 0, capsys.readouterr()
    assert main(command) == 1


def test_verify_a_published_data_set(tmp_path, monkeypatch, capsys):
    root = tmp_path / "a folder, with {signs}=1"
    for split, corner in (("train", 20), ("test", 250)):
        published = Published.by_name({split.upper(): 3}, "G.zip", "https://g", SIZE)
        monkeypatch.setitem(GoPro.splits, split, published)
        folder = root / split / split.upper()
        write_clip(folder / "blur_gamma", folder / "sharp", pan(3, start=(corner, corner)))
    assert main(["data", "verify", "gopro", str(root), "train.blur=gamma"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split() == ["train", "1", "3", "1", "/", "3", "72x96"]
    assert rows[2].startswith("val, test  1")  # the former is a part of the latter
    assert main(["data", "verify", "gopro", str(root)]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "frames", "/nowhere"], "/nowhere: no such folder"),
        (["verify", "frmes", "."], "data=frmes: no such option; did you mean frames"),
        (["verify", "scenes", "."], "scenes: is no data set in a folder"),
        (["verify", "gopro", ".", "train.blur=gama"], "data.train.blur: expected"),
        (["verify", "gopro", ".", "train.blurr=gamma"], "data.train.blurr: no such key"),
        (["verify", "reds", ".", "--workers", "0"], "--workers 0: expected 1 or more"),
        (["verfy"], "no command 'data verfy'; choose one of verify"),
    ],
)
def test_mistakes_are_reported_in_one_line(arguments, message, capsys):
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


def test_help_lists_the_subcommands(capsys):
    assert main(["data"]) == 0
    assert "verify" in capsys.readouterr().out
