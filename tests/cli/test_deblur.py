from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image
from tests.disk import room_for
from tests.video.clips import Pick, Raise, cut, decode, make_clip, make_image, number, sound_packets

from flowdeblur import cli
from flowdeblur.networks import (
    EncoderCoupled,
    FlowGuidedDeblurring,
    FlowSubnet,
    SpatiallyVariantRNN,
)
from flowdeblur.video.images import write_image


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command with a stand-in network; returns status, last line of stdout, and stderr."""

    def run_with(*arguments, network=None, weights="weights.safetensors"):
        loader = SimpleNamespace(load=lambda path, allow: network or Pick((0, 1), 1))
        monkeypatch.setitem(sys.modules, "flowdeblur.weights", loader)
        named = ["--weights", weights] if weights else []
        status = cli.main(["deblur", *map(str, arguments), *named])
        printed = capsys.readouterr()
        return status, printed.out.strip(), printed.err.strip()

    return run_with


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "in.mp4", sound="aac")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "frames"
    path.mkdir()
    for index in range(3):
        write_image(path / f"{index + 9}.tif", make_image(index))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".mkv"])
def test_a_video_becomes_a_video(run, clip, tmp_path, suffix):
    output = tmp_path / f"out{suffix}"
    status, said, _ = run(clip, output)
    assert status == 0
    assert said.startswith("restored 6 frames in ")
    assert said.endswith(f" s: {output}")
    restored = decode(output)
    assert [number(image) for _, image in restored] == [1, 2, 3, 4, 5, 4]
    # Matroska counts milliseconds from the start of the sound, here before the first frame.
    start, tick = (restored[0][0], Fraction(1, 1000)) if suffix == ".mkv" else (0, 0)
    for (time, image), (expected, _) in zip(restored, decode(clip), strict=True):
        assert abs(time - start - expected) <= tick
        assert image.shape == (48, 64, 3)
    assert [body for _, body in sound_packets(output)] == [body for _, body in sound_packets(clip)]
    with av.open(str(output)) as container:
        rate = container.streams.video[0].average_rate
        assert rate == pytest.approx(30000 / 1001, rel=1e-3)
    assert sorted(tmp_path.iterdir()) == sorted([clip, output])


def test_a_video_of_odd_size_and_no_sound(run, tmp_path):
    source = make_clip(tmp_path / "in.mkv", 3, (47, 63), pixels="yuv444p")
    assert run(source, tmp_path / "out.mp4")[0] == 0
    assert [image.shape for _, image in decode(tmp_path / "out.mp4")] == [(47, 63, 3)] * 3


def test_a_video_becomes_a_folder(run, clip, tmp_path):
    assert run(clip, tmp_path / "out")[0] == 0
    images = sorted((tmp_path / "out").iterdir())
    assert [each.name for each in images] == [f"{index:08d}.png" for index in range(6)]
    assert [number(np.asarray(Image.open(each))) for each in images] == [1, 2, 3, 4, 5, 4]


def test_a_folder_becomes_a_folder(run, folder, tmp_path):
    assert run(folder, f"{tmp_path}/out.v2/")[0] == 0
    for name, index in (("9", 1), ("10", 2), ("11", 1)):
        restored = np.asarray(Image.open(tmp_path / "out.v2" / f"{name}.png"))
        np.testing.assert_array_equal(restored, make_image(index))


@pytest.mark.parametrize(("options", "rate"), [((), 30), (("--fps", "24000/1001"), "24000/1001")])
def test_a_folder_becomes_a_video(run, folder, tmp_path, options, rate):
    output = tmp_path / "out.mp4"
    assert run(folder, output, *options)[0] == 0
    assert [time for time, _ in decode(output)] == [i / Fraction(rate) for i in range(3)]


def test_a_image_becomes_a_image(run, tmp_path, caplog):
    write_image(tmp_path / "in.png", make_image())
    status, said, _ = run(tmp_path / "in.png", tmp_path / "out.webp")
    assert (status, said.startswith("restored 1 frame in")) == (0, True)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.webp")), make_image())
    assert caplog.messages == ["a single frame: without a second one the network sees no motion"]


@pytest.mark.parametrize(("first", "second"), [("2", "1"), ("1", "2")])
def test_a_pair_becomes_a_image(run, tmp_path, first, second):
    for index in (1, 2):
        write_image(tmp_path / f"{index}.png", make_image(index))
    pair = [tmp_path / f"{name}.png" for name in (first, second)]
    status, said, error = run(*pair, tmp_path / "out.png")
    assert (status, error, said.startswith("restored 1 frame in")) == (0, "", True)
    assert number(np.asarray(Image.open(tmp_path / "out.png"))) == int(second)


def test_images_become_a_folder_or_a_video(run, tmp_path):
    for index in (1, 2, 3):
        write_image(tmp_path / f"{index}.png", make_image(index))
    names = [tmp_path / f"{index}.png" for index in (1, 2, 3)]
    assert run(*names, tmp_path / "out")[0] == 0
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["1.png", "2.png", "3.png"]
    assert run(f"{tmp_path}/?.png", tmp_path / "out.mp4", "--fps", "5")[0] == 0
    restored = decode(tmp_path / "out.mp4")
    assert [(time, number(image)) for time, image in restored] == [
        (0, 2),
        (Fraction(1, 5), 3),
        (Fraction(2, 5), 2),
    ]
    assert run(names[0], tmp_path / "one")[0] == 0
    assert [each.name for each in (tmp_path / "one").iterdir()] == ["1.png"]


@pytest.mark.parametrize("size", [(1, 1), (65, 3)])
def test_any_size_with_a_real_network(run, tmp_path, size):
    network = FlowGuidedDeblurring(
        deblurring_subnet=partial(EncoderCoupled, coupling=SpatiallyVariantRNN),
        flow_subnet=FlowSubnet,
        width=2,
    )
    write_image(tmp_path / "in.png", make_image(0, size))
    assert run(tmp_path / "in.png", tmp_path / "out.png", network=network)[0] == 0
    assert Image.open(tmp_path / "out.png").size == size[::-1]


@pytest.mark.parametrize("name", ["one.mp4", "one.mkv"])
def test_a_video_of_one_frame(run, tmp_path, name, caplog):
    source = make_clip(tmp_path / name, 1)
    assert run(source, tmp_path / "out.mp4")[0] == 0
    assert len(decode(tmp_path / "out.mp4")) == 1
    assert "without a second one the network sees no motion" in caplog.messages[0]


@pytest.fixture
def several(tmp_path):
    """Three videos and a folder in a folder."""
    path = tmp_path / "clips"
    path.mkdir()
    for name, count in (("a.mp4", 2), ("b.mov", 3), ("c.webm", 4)):
        make_clip(path / "x.mkv", count).rename(path / name)
    (path / "d").mkdir()
    for index in range(2):
        write_image(path / "d" / f"{index}.png", make_image(index))
    return path


def counts(folder):
    return {
        each.name: len(list(each.iterdir())) if each.is_dir() else len(decode(each))
        for each in folder.iterdir()
    }


def test_several_clips_become_a_folder_and_finished_ones_are_skipped(run, several, tmp_path):
    output = tmp_path / "out"
    inputs = sorted(several.iterdir())
    assert run(*inputs, output)[0] == 0
    assert counts(output) == {"a.mp4": 2, "b.mov": 3, "c.mkv": 4, "d": 2}
    network = Counting()
    (output / "b.mov").unlink()
    status, said, _ = run(*inputs, output, network=network)
    assert (status, network.calls) == (0, 3)
    assert said.splitlines()[0] == f"{output}/a.mp4: already exists, skipped"
    assert len(said.splitlines()) == 4
    network = Counting()
    assert run(*inputs, output, "--overwrite", network=network)[0] == 0
    assert network.calls == 11


def test_a_pattern_and_a_list_make_a_folder_even_of_one(run, several, tmp_path, monkeypatch):
    assert run(f"{several}/a*.mp4", tmp_path / "out")[0] == 0
    assert counts(tmp_path / "out") == {"a.mp4": 2}
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"\n{several}/b.mov\n{several}/d\n"))
    assert run("-", tmp_path / "list")[0] == 0
    assert counts(tmp_path / "list") == {"b.mov": 3, "d": 2}
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    status, _, error = run("-", tmp_path / "none")
    assert (status, error.startswith("error: -: the list on the standard input is empty")) == (
        2,
        True,
    )


def test_a_folder_with_a_dot_becomes_a_folder(run, several, tmp_path):
    (several / "d").rename(several / "scene.01")
    assert run(several / "scene.01", several / "a.mp4", tmp_path / "out")[0] == 0
    assert counts(tmp_path / "out") == {"scene.01": 2, "a.mp4": 2}


def test_shards_are_parts_of_the_whole(run, several, tmp_path):
    for index, expected in ((1, {"a.mp4", "d"}), (2, {"b.mov"}), (3, {"c.mkv"})):
        output = tmp_path / str(index)
        assert run(f"{several}/*", output, "--shard", f"{index}/3")[0] == 0
        assert counts(output).keys() == expected
    assert run(several / "a.mp4", tmp_path / "4", "--shard", "2/2")[0] == 0
    assert counts(tmp_path / "4") == {}


def test_one_that_fails_stops_no_other(run, several, tmp_path):
    (several / "a.mp4").write_text("text")
    status, _, error = run(*sorted(several.iterdir()), tmp_path / "out")
    assert status == 1
    assert error.splitlines() == [
        f"error: {several}/a.mp4: not a video, or one that is cut off; replace it",
        "error: 1 of 4 inputs failed, see above",
    ]
    assert counts(tmp_path / "out") == {"b.mov": 3, "c.mkv": 4, "d": 2}


def test_a_damaged_image_passes_through(run, folder, tmp_path):
    (folder / "10.tif").write_bytes((folder / "10.tif").read_bytes()[:700])
    status, said, error = run(folder, tmp_path / "out")
    assert status == 1
    assert said.startswith("restored 2 frames in ")
    assert error == (
        f"error: {folder}: damaged frames, passed through as they are: 10.tif; "
        f"{tmp_path}/out contains the frames that could be decoded"
    )
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "10.tif",
        "11.png",
        "9.png",
    ]
    assert (tmp_path / "out" / "10.tif").read_bytes() == (folder / "10.tif").read_bytes()
    assert run(folder, tmp_path / "out.mp4")[0] == 1
    assert [number(image) for _, image in decode(tmp_path / "out.mp4")] == [0, 0, 2]


def test_a_damaged_image_is_not_replaced_by_its_neighbour(run, tmp_path):
    for index in (1, 2):
        write_image(tmp_path / f"{index}.png", make_image(index))
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:70])
    status, _, error = run(tmp_path / "1.png", tmp_path / "2.png", tmp_path / "out.png")
    assert status == 2
    assert error == f"error: {tmp_path}/1.png: cannot be decoded; {tmp_path}/out.png is not written"
    assert not (tmp_path / "out.png").exists()


def test_a_full_disk_is_reported_in_one_line(run, clip, tmp_path):
    with room_for(1000):
        status, _, error = run(clip, tmp_path / "out.mp4")
    assert status == 1
    assert error == (
        f"error: {tmp_path}/out.mp4: cannot be written (File too large); free disk space, or name "
        "another OUT"
    )
    assert list(tmp_path.iterdir()) == [clip]


def test_tiles_are_measured_on_request(run, tmp_path):
    source = make_clip(tmp_path / "in.mp4", 3, (96, 320))
    status, said, _ = run(source, tmp_path / "out.mp4", "--tile", "192", "--verify")
    assert status == 0
    reported = (
        r"tiles of 192 against the whole frame: PSNR (\S+) dB, largest difference 0\.0 of 255"
    )
    assert float(re.fullmatch(reported, said.splitlines()[0])[1]) > 100
    assert [number(image) for _, image in decode(tmp_path / "out.mp4")] == [1, 2, 1]
    _, _, error = run(source, tmp_path / "whole.mp4", "--tile", "320", "--verify")
    assert error == f"{source}: restored without tiles, which needs no --verify"


def test_tiles_are_taken_where_memory_is_short(run, tmp_path, monkeypatch):
    monkeypatch.setattr("flowdeblur.video.memory.available_memory", lambda device: 2**20)
    source = make_clip(tmp_path / "in.mp4", 2, (96, 320))
    status, _, error = run(source, tmp_path / "out.mp4")
    assert (status, error) == (0, f"memory is short for {source}: restored in tiles of 128")


@pytest.mark.parametrize(
    ("codec", "name"), [("hevc", "hevc"), ("prores", "prores"), ("ffv1", "ffv1")]
)
def test_codec_is_chosen(run, clip, tmp_path, codec, name):
    assert (
        run(clip, tmp_path / "out.mkv", "--codec", codec, "--batch", "4", "--dtype", "bf16")[0] == 0
    )
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].codec_context.name == name
    assert [number(image) for _, image in decode(tmp_path / "out.mkv")] == [1, 2, 3, 4, 5, 4]


def test_quality_is_chosen(run, clip, tmp_path):
    for crf in (10, 45):
        assert run(clip, tmp_path / f"{crf}.mkv", "--crf", crf)[0] == 0
    assert (tmp_path / "45.mkv").stat().st_size < (tmp_path / "10.mkv").stat().st_size


def test_nothing_is_replaced_unasked(run, clip, folder, tmp_path):
    taken, full = tmp_path / "out.mp4", tmp_path / "full"
    taken.write_text("mine")
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    for output in (taken, full):
        status, _, error = run(clip, output)
        assert status == 2
        assert error == f"error: {output}: exists already; name another OUT or pass --overwrite"
    assert taken.read_text() == "mine"
    assert run(clip, taken, "--overwrite")[0] == 0
    assert len(decode(taken)) == 6
    assert run(folder, full, "--overwrite")[0] == 0
    assert sorted(each.name for each in full.iterdir()) == ["10.png", "11.png", "9.png", "mine.txt"]
    assert run(folder, tmp_path / "empty")[0] == 0


def test_a_cut_off_video_is_restored_as_far_as_it_goes(run, tmp_path):
    source = cut(make_clip(tmp_path / "in.mp4", 40, movflags="faststart"), 0.9)
    status, _, error = run(source, tmp_path / "out.mp4", network=Pick())
    restored = [number(image) for _, image in decode(tmp_path / "out.mp4")]
    count = len(restored)
    assert 0 < count < 40
    # Of the last frame a part is left, for which the one before it stands.
    assert restored[:-1] == [index % 11 for index in range(count - 1)]
    assert restored[-1] == restored[-2]
    assert status == 1
    assert error == (
        f"error: {source}: is cut off; frames missing at its end: {40 - count}; damaged frames, "
        f"passed through as they are: {count - 1}; {tmp_path}/out.mp4 contains the frames that "
        "could be decoded"
    )


class Counting(Pick):
    """Counts frames, and stops as it is reported before the fifth."""

    def __init__(self, stop=lambda: None):
        super().__init__((0, 1), 1)
        self.stop, self.calls = stop, 0

    def forward(self, frames, *, keep_rnn_weights=True):
        self.calls += 1
        if self.calls == 5:
            self.stop()
        return super().forward(frames, keep_rnn_weights=keep_rnn_weights)


def interrupt():
    raise KeyboardInterrupt


def test_an_error_leaves_nothing(run, clip, tmp_path):
    status, _, error = run(clip, tmp_path / "out.mp4", network=Raise(RuntimeError("kernel")))
    assert status == 70
    assert "internal error: RuntimeError: kernel" in error
    assert list(tmp_path.iterdir()) == [clip]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_video_leaves_nothing(run, clip, tmp_path, number):
    def stop():
        signal.raise_signal(number)
        signal.raise_signal(number)  # once more, while it is cleaning up
        pytest.fail("goes on")

    before = signal.getsignal(number)
    status, _, error = run(clip, tmp_path / "out.mp4", network=Counting(stop))
    assert (status, error) == (130, "interrupted")
    assert list(tmp_path.iterdir()) == [clip]
    assert signal.getsignal(number) == before


def test_nohup_is_respected(run, clip, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = partial(signal.raise_signal, signal.SIGHUP)
        assert run(clip, tmp_path / "out.mp4", network=Counting(stop))[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interrupted_folder_is_resumed(run, clip, tmp_path):
    output = tmp_path / "out"
    assert run(clip, output, network=Counting(interrupt))[0] == 130
    kept = {path.name: path.stat().st_mtime_ns for path in output.glob("*.png")}
    assert 1 <= len(kept) <= 4
    assert {path.name for path in output.iterdir()} == {*kept, ".unfinished"}
    for name in kept:
        assert Image.open(output / name).size == (64, 48)

    status, _, error = run(clip, output, "--no-cuts")
    assert status == 2
    assert "out: was begun with another input, weights or options; name another OUT" in error

    network = Counting()
    status, said, _ = run(clip, output, network=network)
    assert (status, network.calls) == (0, 6 - len(kept))
    assert said.startswith(f"restored {6 - len(kept)} frames in ")
    images = sorted(output.iterdir())
    assert [each.name for each in images] == [f"{index:08d}.png" for index in range(6)]
    assert [number(np.asarray(Image.open(each))) for each in images] == [1, 2, 3, 4, 5, 4]
    assert {name: (output / name).stat().st_mtime_ns for name in kept} == kept
    assert run(clip, output)[0] == 2  # complete: nothing is replaced unasked


def test_a_full_gpu_is_reported_in_one_line(run, clip, tmp_path):
    status, _, error = run(clip, tmp_path / "out.mp4", network=Raise(torch.OutOfMemoryError("...")))
    assert status == 1
    assert "has too little memory for 64x48 frames; use smaller tiles" in error
    assert list(tmp_path.iterdir()) == [clip]


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


def test_without_weights_those_of_the_package_are_used(clip, tmp_path, capsys):
    for out, weights in (("out", []), ("default", ["--weights=default"])):
        assert cli.main(["deblur", str(clip), str(tmp_path / out), *weights]) == 0
    first, second = (
        [each.read_bytes() for each in sorted((tmp_path / out).glob("*.png"))]
        for out in ("out", "default")
    )
    assert first == second
    assert first
    assert cli.main(["deblur", str(clip), str(tmp_path / "out.mp4"), "--weights=best"]) == 2
    assert capsys.readouterr().err.strip() == (
        "error: best: no weights of this name come with flowdeblur "
        "(these do: compact, default, small); "
        "name a .safetensors file"
    )


@pytest.mark.parametrize(
    "option",
    [
        *("--crf=52", "--fps=0", "--fps=1/0", "--fps=x", "--tile=100", "--tile=128", "--tile=x"),
        *("--batch=0", "--shard=0/2", "--shard=3/2", "--shard=1"),
    ],
)
def test_values_out_of_range_are_refused(run, clip, tmp_path, option, capsys):
    with pytest.raises(SystemExit) as exit_:
        run(clip, tmp_path / "out.mp4", option)
    assert exit_.value.code == 2
    assert f"argument {option.partition('=')[0]}: must be " in capsys.readouterr().err


def test_help_shows_examples_without_loading_torch():
    program = (
        "import sys; from flowdeblur import cli\n"
        "try: cli.main(['deblur', '--help'])\n"
        "finally: print({'torch', 'av', 'PIL', 'numpy'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "flowdeblur deblur shaky.mp4 sharp.mp4 --weights" in shown.stdout
    assert shown.stdout.endswith("set()\n")
