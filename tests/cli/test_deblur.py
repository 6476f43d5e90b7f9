from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image
from tests.video.clips import Pick, Raise, cut, decode, make_clip, number, picture, sound_packets

from flowdeblur import cli
from flowdeblur.pictures import write_picture


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command with a stand-in network; returns status, last line of stdout, and stderr."""

    def run_with(*arguments, network=None, weights="weights.safetensors"):
        loader = SimpleNamespace(load=lambda path: network or Pick((0, 1), 1))
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
        write_picture(path / f"{index + 9}.tif", picture(index))
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
    pictures = sorted((tmp_path / "out").iterdir())
    assert [each.name for each in pictures] == [f"{index:08d}.png" for index in range(6)]
    assert [number(np.asarray(Image.open(each))) for each in pictures] == [1, 2, 3, 4, 5, 4]


def test_a_folder_becomes_a_folder(run, folder, tmp_path):
    assert run(folder, f"{tmp_path}/out.v2/")[0] == 0
    for name, index in (("9", 1), ("10", 2), ("11", 1)):
        restored = np.asarray(Image.open(tmp_path / "out.v2" / f"{name}.png"))
        np.testing.assert_array_equal(restored, picture(index))


@pytest.mark.parametrize(("options", "rate"), [((), 30), (("--fps", "24000/1001"), "24000/1001")])
def test_a_folder_becomes_a_video(run, folder, tmp_path, options, rate):
    output = tmp_path / "out.mp4"
    assert run(folder, output, *options)[0] == 0
    assert [time for time, _ in decode(output)] == [i / Fraction(rate) for i in range(3)]


def test_a_picture_becomes_a_picture(run, tmp_path, caplog):
    write_picture(tmp_path / "in.png", picture())
    status, said, _ = run(tmp_path / "in.png", tmp_path / "out.webp")
    assert (status, said.startswith("restored 1 frame in")) == (0, True)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.webp")), picture())
    assert caplog.messages == ["a single frame: without a second one the network sees no motion"]


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
    assert restored == [index % 11 for index in range(count)]
    assert status == 1
    assert error == (
        f"error: {source}: is cut off; frames missing at its end: {40 - count}; "
        f"{tmp_path}/out.mp4 holds what it still gave"
    )


@pytest.mark.parametrize("output", ["out.mp4", "out"])
@pytest.mark.parametrize("error", [RuntimeError("kernel"), KeyboardInterrupt()])
def test_an_interruption_leaves_nothing(run, clip, tmp_path, output, error):
    if isinstance(error, KeyboardInterrupt):
        assert run(clip, tmp_path / output, network=Raise(error))[0] == 130
    else:
        with pytest.raises(RuntimeError, match="kernel"):
            run(clip, tmp_path / output, network=Raise(error))
    assert list(tmp_path.iterdir()) == [clip]


def test_a_full_gpu_is_told_in_one_line(run, clip, tmp_path):
    status, _, error = run(clip, tmp_path / "out.mp4", network=Raise(torch.OutOfMemoryError("...")))
    assert status == 1
    assert error.endswith("has too little memory for 64x48 frames; use the CPU")
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
            "out.avi: unknown suffix; name a folder (",
        ),
        "OUT is IN": (["in.mp4", "empty/../in.mp4", "--overwrite"], "is IN itself; name another"),
        "OUT is the folder": (["frames", "frames/", "--overwrite"], "is IN itself; name another"),
        "no folder for OUT": (["in.mp4", "a/b/out.mp4"], "a/b: no such folder; create it"),
        "clip to picture": (["in.mp4", "out.png"], "out.png: a picture cannot hold a clip"),
        "picture to clip": (["a.png", "out.mp4"], "out.mp4: a picture becomes a picture"),
        "picture to folder": (["a.png", "empty"], "empty: a picture becomes a picture"),
        "frames to file": (["frames", "file", "--overwrite"], "file: is a file; name a folder"),
        "damaged picture": (["text.png", "out.png"], "text.png: is truncated or not a picture"),
        "empty folder": (["empty", "out"], "empty: holds no pictures; put"),
        "mixed sizes": (["mixed", "out"], "2.png: is 32x48, but the first frame 1.png is 64x48"),
        "rate of a video": (["in.mp4", "out.mp4", "--fps", "24"], "--fps: a video keeps its own"),
        "device": (["in.mp4", "out.mp4", "--device", "abacus"], "--device abacus: Expected one of"),
        "sound": (["pcm.mkv", "out.m4v"], "out.m4v: this kind of file holds no pcm_s16le sound"),
    }


@pytest.mark.parametrize("name", mistakes())
def test_a_mistake_is_told_in_one_line_and_changes_nothing(run, folder, clip, tmp_path, name):
    (tmp_path / "zero.mp4").touch()
    for text in ("text.mp4", "text.png", "a.xyz", "file"):
        (tmp_path / text).write_text("some words\n" * 50)
    for empty in ("empty", "mixed"):
        (tmp_path / empty).mkdir()
    for path, size in (("a.png", (48, 64)), ("mixed/1.png", (48, 64)), ("mixed/2.png", (48, 32))):
        write_picture(tmp_path / path, picture(0, size))
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        voice = container.add_stream("aac", rate=8000, layout="mono")
        spoken = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        spoken.sample_rate = 8000
        container.mux([*voice.encode(spoken), *voice.encode(None)])
    make_clip(tmp_path / "pcm.mkv", 2, sound="pcm_s16le")
    before = sorted(tmp_path.rglob("*"))
    (source, output, *options), line = mistakes()[name]
    status, _, error = run(f"{tmp_path}/{source}", f"{tmp_path}/{output}", *options)
    assert status == 2
    assert error.startswith("error: ")
    assert line in error
    assert "\n" not in error
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_must_be_named(run, clip, tmp_path):
    status, _, error = run(clip, tmp_path / "out.mp4", weights=None)
    assert (status, error) == (2, "error: --weights: name a weights file (.safetensors)")


@pytest.mark.parametrize("option", ["--crf=52", "--fps=0", "--fps=1/0", "--fps=x"])
def test_values_out_of_range_are_refused(run, clip, tmp_path, option, capsys):
    with pytest.raises(SystemExit) as exit_:
        run(clip, tmp_path / "out.mp4", option)
    assert exit_.value.code == 2
    assert f"argument {option[:5]}: must be a" in capsys.readouterr().err


def test_help_shows_examples_without_loading_torch():
    program = (
        "import sys; from flowdeblur import cli\n"
        "try: cli.main(['deblur', '--help'])\n"
        "finally: print({'torch', 'av', 'PIL', 'numpy'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "flowdeblur deblur shaky.mp4 sharp.mp4 --weights" in shown.stdout
    assert shown.stdout.endswith("set()\n")
