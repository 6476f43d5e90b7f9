from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction
from functools import partial

import av
import numpy as np
import pytest
from PIL import Image
from tests.cli.test_deblur_failures import Counting
from tests.video.clips import decode, make_clip, make_image, number, sound_packets

from flowdeblur import cli
from flowdeblur.networks import (
    EncoderCoupled,
    FlowGuidedDeblurring,
    FlowSubnet,
    SpatiallyVariantRNN,
)
from flowdeblur.video.images import write_image


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


def test_an_image_becomes_an_image(run, tmp_path, caplog):
    write_image(tmp_path / "in.png", make_image())
    status, said, _ = run(tmp_path / "in.png", tmp_path / "out.webp")
    assert (status, said.startswith("restored 1 frame in")) == (0, True)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.webp")), make_image())
    assert caplog.messages == ["a single frame: without a second one the network sees no motion"]


@pytest.mark.parametrize(("first", "second"), [("2", "1"), ("1", "2")])
def test_a_pair_becomes_an_image(run, tmp_path, first, second):
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


def test_the_codec_of_several_is_that_of_the_videos_among_them(run, several, tmp_path):
    assert run(several / "a.mp4", several / "d", tmp_path / "out", "--codec", "hevc")[0] == 0
    assert counts(tmp_path / "out") == {"a.mp4": 2, "d": 2}
    with av.open(str(tmp_path / "out" / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"


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
        "(these do: default, small); "
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
