from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from flowdeblur.errors import UserError
from flowdeblur.video.codecs import FFV1, PRORES, Encoding
from flowdeblur.video.inputs import InputClip, find_sources
from flowdeblur.video.outputs import collect, is_finished


@pytest.fixture
def here(tmp_path, monkeypatch):
    for folder in ("frames", "more"):
        (tmp_path / folder).mkdir()
    for name in ("a2.mp4", "a10.mp4", "b.MOV", "x1.png", "x2.jpg", "more/c.mp4", "notes.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(*names):
    return [str(source.path) for source in find_sources(names)]


def test_videos_and_folders_are_clips_in_their_order(here):
    assert paths("b.MOV", "frames", "a2.mp4") == ["b.MOV", "frames", "a2.mp4"]
    assert [source.is_video for source in find_sources(["b.MOV", "frames"])] == [True, False]


def test_images_are_one_clip(here):
    (source,) = find_sources(["x2.jpg", "x1.png"])
    assert source == InputClip(Path("x2.jpg"), (Path("x2.jpg"), Path("x1.png")))
    assert not source.is_video
    assert find_sources(["x*"]) == find_sources(["x1.png", "x2.jpg"])


def test_patterns_are_looked_up_in_natural_order(here):
    assert paths("*.mp4") == ["a2.mp4", "a10.mp4"]
    assert paths("**/*.mp4") == ["a2.mp4", "a10.mp4", "more/c.mp4"]
    assert paths(f"{here}/a?.mp4") == [f"{here}/a2.mp4"]


def test_a_name_that_looks_like_a_pattern_is_a_name_first(here):
    (here / "a[10].mp4").touch()
    assert paths("a[10].mp4") == ["a[10].mp4"]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["none.mp4"], r"^none\.mp4: no such file or folder"),
        (["*.webm"], r"^\*\.webm: no such file or folder"),
        (["notes.txt"], r"^notes\.txt: unknown suffix; name a folder or one of \.mp4"),
        (["a*", "notes*"], r"^notes\.txt: unknown suffix"),
        (["x1.png", "a2.mp4"], r"^x1\.png: an image among videos or folders; restore them by"),
        (["dangling.mp4"], r"^dangling\.mp4: no such file"),
        (["dang*"], r"^dangling\.mp4: no such file"),
        (["loop.mp4"], r"^loop\.mp4: no such file"),
    ],
)
def test_mistakes(here, names, line):
    (here / "dangling.mp4").symlink_to("nowhere.mp4")
    (here / "loop.mp4").symlink_to("loop.mp4")
    with pytest.raises(UserError, match=line):
        find_sources(names)


def test_a_video_keeps_its_rate(here):
    with pytest.raises(UserError, match=r"^--fps: a video keeps its own frame rate"):
        InputClip(Path("a2.mp4")).open(Fraction(24))


def test_every_clip_gets_an_output_under_its_name(here):
    sources = find_sources(["a2.mp4", "b.MOV", "frames"])
    assert [str(path) for path in collect(Path("out"), sources, Encoding())] == [
        "out/a2.mp4",
        "out/b.MOV",
        "out/frames",
    ]
    for codec, expected in (
        (PRORES, ["out/a2.mkv", "out/b.MOV"]),
        (FFV1, ["out/a2.mkv", "out/b.mkv"]),
    ):
        targets = collect(Path("out"), sources[:2], Encoding(codec))
        assert [str(path) for path in targets] == expected


def test_two_clips_of_one_name_are_refused(here):
    (here / "more/a2.mp4").touch()
    with pytest.raises(UserError, match=r"^more/a2\.mp4: a2\.mp4 would become out/a2\.mp4, too"):
        collect(Path("out"), find_sources(["a2.mp4", "more/a2.mp4"]), Encoding())


def test_the_folder_of_the_clips_is_refused(here):
    with pytest.raises(UserError, match=r"a2\.mp4: is IN itself; name another folder as OUT"):
        collect(Path("frames/.."), find_sources(["a2.mp4", "frames"]), Encoding())


@pytest.mark.parametrize("name", ["out.mp4", "a2.mp4", "notes.txt", "out.png"])
def test_several_clips_need_a_folder(here, name):
    with pytest.raises(UserError, match="several IN need a folder as OUT; name one"):
        collect(Path(name), find_sources(["a*.mp4"]), Encoding())


def test_what_is_finished(here):
    assert is_finished(here / "a2.mp4")
    assert not is_finished(here / "none.mp4")
    assert not is_finished(here / "frames")
    (here / "frames/1.png").touch()
    assert is_finished(here / "frames")
    (here / "frames/.unfinished").touch()
    assert not is_finished(here / "frames")
