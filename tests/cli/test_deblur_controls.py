"""The controls of ``flowdeblur deblur`` on the command line."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage import data
from tests.video.clips import Pick, decode, make_clip, make_image, number

from flowdeblur import cli
from flowdeblur.cli.deblur_arguments import parse
from flowdeblur.cli.progress import showing
from flowdeblur.devices import automatic_dtype
from flowdeblur.networks.inference import infer
from flowdeblur.types import Restoration
from flowdeblur.video.images import read_image, write_image
from flowdeblur.video.progress import Progress, duration


class Invert(Pick):
    def forward(self, frames, *, keep_rnn_weights=False):
        return Restoration(1 - frames[:, self.current_index])


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command with a network that inverts; returns status, stdout and stderr."""

    def run_with(*arguments):
        loader = SimpleNamespace(load=lambda path, allow: Invert())
        monkeypatch.setitem(sys.modules, "flowdeblur.weights", loader)
        status = cli.main(["deblur", *map(str, arguments), "--device", "cpu"])
        printed = capsys.readouterr()
        return status, printed.out.strip(), printed.err.strip()

    return run_with


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "frames"
    path.mkdir()
    for index in range(6):
        write_image(path / f"{index}.png", make_image(index))
    return path


@pytest.mark.parametrize(
    ("given", "threshold"),
    [
        (["--only-blurry", "in.mp4", "out.mp4"], True),
        (["in.mp4", "out.mp4", "--only-blurry"], True),
        (["--only-blurry", "5", "in.mp4", "out.mp4"], 5.0),
        (["in.mp4", "--only-blurry=0.5", "out.mp4"], 0.5),
        (["in.mp4", "out.mp4"], None),
    ],
)
def test_the_threshold_may_be_left_out(given, threshold):
    arguments = parse(given)
    assert arguments.only_blurry == threshold
    assert (arguments.inputs, arguments.output) == (["in.mp4"], "out.mp4")


def test_only_the_blurry_stretch_of_a_clip_changes(run, tmp_path):
    sharp = data.cat()
    smear = np.mean([np.roll(sharp, shift, 1) for shift in range(-12, 13)], 0).astype(np.uint8)
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for index in range(6):
        write_image(source / f"{index}.png", smear if index in (2, 3) else sharp)
    options = ("--only-blurry", "5", "--no-cuts", "--blur-csv", tmp_path / "blur.csv")
    status, said, _ = run(source, out, *options)
    assert status == 0
    for index in range(6):
        expected = 255 - smear if index in (2, 3) else sharp
        np.testing.assert_array_equal(read_image(out / f"{index}.png"), expected)
    assert said.splitlines()[0].startswith("estimated blur ")
    assert "restored 2 frames in " in said
    assert ", passed 4 through, in " in said
    rows = (tmp_path / "blur.csv").read_text().splitlines()
    assert [each[-1] for each in rows[1:]] == list("001100")


def test_a_preview_shows_frames_spread_over_the_clip(run, folder, tmp_path):
    status, said, _ = run(folder, tmp_path / "preview", "--preview", "3")
    assert status == 0
    assert {each.name for each in (tmp_path / "preview").iterdir()} == {
        "index.html",
        *(f"{index}_{kind}.png" for index in (1, 3, 5) for kind in ("input", "restored")),
    }
    restored = read_image(tmp_path / "preview" / "3_restored.png")
    np.testing.assert_array_equal(restored, 255 - make_image(3))
    page = (tmp_path / "preview" / "index.html").read_text()
    assert page.count("<section") == 3
    assert said.splitlines()[0].startswith("previewed 3 of 6 frames at ")
    assert said.splitlines()[1].startswith("the whole clip would take about ")
    status, _, error = run(folder, tmp_path / "preview", "--preview", "3")
    assert (status, "preview: exists already" in error) == (2, True)


def test_a_preview_of_a_range_shows_frames_of_it(run, folder, tmp_path):
    for options, shown in ((("--range", "2-5"), "35"), (("--range", "0.11s-"), "45")):
        out = tmp_path / shown
        assert run(folder, out, "--preview", "2", *options)[0] == 0
        assert sorted(each.name[0] for each in out.glob("*_input.png")) == list(shown)
    for wrong, line in (("9-", "--range: reaches beyond"), ("0.11s-0.12s", "contains no frame")):
        status, _, error = run(folder, tmp_path / "none", "--preview", "2", "--range", wrong)
        assert (status, line in error) == (2, True)


def test_a_range_of_a_video_changes_only_these_frames(run, tmp_path):
    source = make_clip(tmp_path / "in.mkv", 6)
    assert run(source, tmp_path / "out.mkv", "--codec", "ffv1", "--range", "2-3")[0] == 0
    before, after = decode(source), decode(tmp_path / "out.mkv")
    numbers = [number(image) for _, image in after]
    assert [numbers[index] for index in (0, 1, 4, 5)] == [0, 1, 4, 5]
    for index in (2, 3):
        assert np.abs(after[index][1].astype(int) + before[index][1] - 255).mean() < 2


def test_comparisons_and_tables_replace_no_video(run, tmp_path):
    source = make_clip(tmp_path / "clip.side.mp4", 4)
    before, out = source.read_bytes(), tmp_path / "clip.mp4"
    for options, line in (
        (("--compare", "side"), "clip.side.mp4: is IN itself"),
        (("--blur-csv", out), "clip.mp4: is written as a video; name another --blur-csv"),
        (("--compare", "wipe", "--blur-csv", tmp_path / "clip.wipe.mp4"), "is written as a video"),
    ):
        status, _, error = run(source, out, "--overwrite", *options)
        assert (status, line in error) == (2, True)
    assert source.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["clip.side.mp4"]


def test_a_comparison_is_no_result_of_another_clip(run, tmp_path):
    make_clip(tmp_path / "a.mp4", 4)
    make_clip(tmp_path / "a.side.mp4", 4)
    pattern = tmp_path / "*.mp4"
    status, _, error = run(pattern, tmp_path / "out", "--compare", "side")
    assert (status, "a.side.mp4: is a result and a comparison" in error) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_preview_is_not_written_into_its_clip(run, folder, tmp_path):
    names = sorted(each.name for each in folder.iterdir())
    status, _, error = run(folder, folder, "--preview", "1", "--overwrite")
    assert (status, "is IN itself; name another folder for --preview" in error) == (2, True)
    assert sorted(each.name for each in folder.iterdir()) == names
    status, _, error = run(folder, tmp_path / "out", "--preview", "1", "--blur-csv", "x.csv")
    assert (status, "--blur-csv: does not go with --preview" in error) == (2, True)


@pytest.mark.parametrize("option", [("--codec", "hevc"), ("--crf", "0"), ("--preset", "slow")])
def test_a_preview_has_no_settings_of_a_video(run, folder, tmp_path, option):
    status, _, error = run(folder, tmp_path / "out", "--preview", "1", *option)
    assert (status, f"{option[0]}: does not go with --preview" in error) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--preview", "2"), ("--shard", "1/2"), ("--verify",)])
def test_options_that_pipes_cannot_have_are_refused(run, option):
    status, _, error = run("--raw", "64x48@25", "-", "-", *option)
    assert (status, f"{option[0]}: does not go with --raw" in error) == (2, True)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--strength", "2"], "argument --strength: must be a number from 0 to 1"),
        (["--only-blurry=x"], "argument --only-blurry: must be a number of pixels"),
        (["--only-blurry=-1"], "argument --only-blurry: must be a number of pixels"),
        (["--preview", "0"], "argument --preview: must be a whole number from 1 to 100"),
        (["--scale", "0"], "error: --scale 0: must be auto"),
        (["--ensemble", "3"], "error: --ensemble 3: must be one of 1, 2, 4, 8"),
        (["--range", "x"], "error: --range x: write seconds as 10s-25s"),
        (["--range", "4-9"], "error: --range: reaches beyond the clip"),
        (["--compare", "side"], "is not a video; name one as OUT"),
        (["--blur-csv", "missing/blur.csv"], "/missing: no such folder; create it"),
        (["--blur-csv", __file__], "exists already; name another --blur-csv or pass --overwrite"),
        (["--blur-csv", "."], ".: is a folder; name a regular file"),
        (["--raw", "64x48@25"], "error: --raw: reads the standard input"),
        (["--compile", "--tile", "384"], "error: --compile: is for whole frames"),
        (["--dtype", "int8"], "argument --dtype: invalid choice"),
    ],
)
def test_wrong_values_are_reported_in_one_line(run, folder, tmp_path, options, line, capsys):
    try:
        status, _, error = run(folder, tmp_path / "out", *options)
        assert "\n" not in error
    except SystemExit as exit_:
        status, error = exit_.code, capsys.readouterr().err
    assert status == 2
    assert line in error
    assert not (tmp_path / "out").exists()


def test_progress_is_printed_where_there_is_no_terminal(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with showing(SimpleNamespace(expected=4000)) as show:
        for frames in range(0, 100):
            now = 2.0 * frames
            show(Progress(frames, 4000, frames, now))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("about 2 h 13 min for 4000 frames; --preview 6 shows")
    assert lines[1] == "15 of 4000 frames, 0.50 frames/s, 2 h 12 min left"
    assert len(lines) == 7


def test_durations_are_written_as_people_do():
    assert [duration(each) for each in (0.4, 59.4, 61, 3599, 7850)] == [
        *("0 s", "59 s", "1 min 1 s", "59 min 59 s", "2 h 10 min"),
    ]


def test_half_precision_stays_close_to_float32():
    import importlib

    network = importlib.import_module("flowdeblur.weights").load("small")
    image = torch.from_numpy(data.cat()[:128, :192].copy()).permute(2, 0, 1)[None, None] / 255
    frames = image.expand(1, 2, 3, 128, 192)
    whole = infer(network, frames).restored
    for dtype in (torch.bfloat16, automatic_dtype(torch.device("cpu"))):
        error = (infer(network, frames, dtype=dtype).restored - whole).square().mean()
        assert -10 * error.clamp(min=1e-12).log10() > 45


def test_the_precision_is_printed(run, folder, tmp_path):
    said = run(folder, tmp_path / "out", "--dtype", "float32")[1]
    assert said.startswith("restored 6 frames in float32 on cpu, in ")
