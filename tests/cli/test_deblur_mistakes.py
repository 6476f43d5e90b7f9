"""Mistakes of ``flowdeblur deblur``, in one line each, before any work."""

from __future__ import annotations

import av
import numpy as np
import pytest
from PIL import Image
from tests.video.clips import cut, make_clip, make_image

from flowdeblur.video.images import write_image


def mistakes():
    """Arguments relative to a folder, and what the one line must say."""
    return {
        "no input": (["none.mp4", "out.mp4"], "none.mp4: no such file or folder; check the name"),
        "zero bytes": (["zero.mp4", "out.mp4"], "zero.mp4: not a video, or one that is cut off"),
        "text": (["text.mp4", "out.mp4"], "text.mp4: not a video, or one that is cut off"),
        "sound only": (["song.mp4", "out.mp4"], "song.mp4: has no video stream"),
        "suffix of IN": (["a.xyz", "out.mp4"], "a.xyz: unknown suffix; name a folder or one of"),
        "suffix of OUT": (
            ["in.mp4", "out.avi"],
            "out.avi: h264 goes into .mp4, .m4v, .mov, .mkv files; name one, or a folder",
        ),
        "OUT is IN": (["in.mp4", "empty/../in.mp4", "--overwrite"], "is IN itself; name another"),
        "OUT is the folder": (["frames", "frames/", "--overwrite"], "is IN itself; name another"),
        "OUT is another IN": (
            ["a.png", "frames/1.png", "frames/1.png", "--overwrite"],
            "frames/1.png: is IN itself; name another OUT",
        ),
        "OUT holds IN": (
            ["frames/1.png", "frames/2.png", "frames", "--overwrite"],
            "frames: contains IN itself; name another folder as OUT",
        ),
        "a part of images": (
            ["a.png", "frames/1.png", "out", "--shard", "1/2"],
            "--shard: images are one clip, which cannot be split; leave it out",
        ),
        "mps": (
            ["in.mp4", "out.mp4", "--device", "meta"],
            "--device meta: the RNNs run on cpu and",
        ),
        "no folder for OUT": (["in.mp4", "a/b/out.mp4"], "a/b: no such folder; create it"),
        "clip to image": (["in.mp4", "out.png"], "out.png: a single image cannot contain a clip"),
        "image to clip": (
            ["a.png", "out.mp4"],
            "out.mp4: a single image can only be",
        ),
        "frames to file": (["frames", "file", "--overwrite"], "file: is a file; name a folder"),
        "damaged image": (["text.png", "out.png"], "text.png: is truncated or not an image"),
        "empty folder": (["empty", "out"], "empty: contains no images; put"),
        "mixed sizes": (["mixed", "out"], "2.png: is 32x48, but the first frame 1.png is 64x48"),
        "rate of a video": (["in.mp4", "out.mp4", "--fps", "24"], "--fps: a video keeps its own"),
        "device": (["in.mp4", "out.mp4", "--device", "abacus"], "--device abacus: Expected one of"),
        "headless": (["headless.mp4", "out.mp4"], "headless.mp4: not a video, or one that is cut"),
        "CMYK": (["cmyk.jpg", "out.png"], "cmyk.jpg: is in CMYK mode; convert it to RGB"),
        "GIF": (["moving.gif", "out.mp4"], "moving.gif: unknown suffix; name a folder or one of"),
        "animation": (["moving.png", "out.png"], "moving.png: is truncated or not an image"),
        "transparent": (["clear.png", "out.png"], "clear.png: has transparent pixels; flatten it"),
        "only damage": (["damage", "out"], "is truncated or not an image; replace or remove it"),
        "two of a name": (["twins", "out.mp4"], "1.jpg: another frame is named 1; remove one"),
        "unlike pair": (["a.png", "mixed/2.png", "out.png"], "2.png: is 32x48, but the first"),
        "dangling link": (["dangling.mp4", "out.mp4"], "dangling.mp4: no such file or folder"),
        "folder as video": (["folder.mp4", "out.mp4"], "folder.mp4: contains no images; put"),
        "no match": (["*.webm", "out"], "*.webm: no such file or folder; check the name"),
        "two kinds": (["a.png", "in.mp4", "empty"], "a.png: an image among videos or folders"),
        "several to one": (["in.mp4", "frames", "out.mp4"], "out.mp4: several IN need a folder"),
        "three to one": (
            ["a.png", "frames/1.png", "frames/2.png", "b.png"],
            "b.png: a single image cannot contain a clip",
        ),
        "codec": (["in.mp4", "out.mp4", "--codec", "ffv1"], "out.mp4: ffv1 goes into .mkv files"),
        "lossless": (
            ["in.mp4", "o.mkv", "--codec", "ffv1", "--crf", "3"],
            "--crf: ffv1 has no such",
        ),
        "codec of images": (
            ["in.mp4", "out", "--codec", "hevc"],
            "--codec: out is not a video; name one as OUT",
        ),
        "quality of an image": (
            ["a.png", "b.png", "--crf", "3"],
            "--crf: b.png is not a video; name one as OUT",
        ),
        "sound": (
            ["pcm.mkv", "out.m4v"],
            "out.m4v: this kind of file cannot contain pcm_s16le sound",
        ),
    }


@pytest.fixture(scope="module")
def mess(tmp_path_factory):
    """A folder of what users have; no test may change it."""
    path = tmp_path_factory.mktemp("mess")
    for name in ("frames", "empty", "mixed", "folder.mp4", "damage", "twins"):
        (path / name).mkdir()
    for name in ("zero.mp4", "damage/1.png", "damage/2.jpg"):
        (path / name).touch()
    for name in ("text.mp4", "text.png", "a.xyz", "file"):
        (path / name).write_text("some words\n" * 50)
    for name in ("a.png", "frames/1.png", "frames/2.png", "mixed/1.png", "twins/1.png"):
        write_image(path / name, make_image())
    write_image(path / "twins/1.jpg", make_image())
    write_image(path / "mixed/2.png", make_image(0, (48, 32)))
    (path / "dangling.mp4").symlink_to("nowhere.mp4")
    Image.new("CMYK", (64, 48)).save(path / "cmyk.jpg")
    Image.new("RGBA", (64, 48)).save(path / "clear.png")
    moving = [Image.new("RGB", (64, 48), (shade, 0, 0)) for shade in (0, 100, 200)]
    moving[0].save(path / "moving.gif", save_all=True, append_images=moving[1:])
    (path / "moving.png").write_bytes((path / "moving.gif").read_bytes())
    with av.open(str(path / "song.mp4"), "w") as container:
        voice = container.add_stream("aac", rate=8000, layout="mono")
        spoken = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        spoken.sample_rate = 8000
        container.mux([*voice.encode(spoken), *voice.encode(None)])
    make_clip(path / "in.mp4", 2)
    make_clip(path / "pcm.mkv", 2, sound="pcm_s16le")
    cut(make_clip(path / "headless.mp4", 20), 0.5)  # the index of an MP4 stands at its end
    return path


@pytest.mark.parametrize(("arguments", "line"), mistakes().values(), ids=mistakes().keys())
def test_a_mistake_is_reported_in_one_line_and_changes_nothing(
    run, mess, monkeypatch, arguments, line
):
    def state():
        return sorted((str(each), each.lstat().st_mtime_ns) for each in mess.rglob("*"))

    before = state()
    monkeypatch.chdir(mess)
    status, _, error = run(*arguments)
    assert status == 2
    assert error.startswith("error: ")
    assert line in error
    assert "\n" not in error
    assert state() == before
