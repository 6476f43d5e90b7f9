from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.composition import make_model
from tests.video.clips import make_clip, make_image

from flowdeblur import cli, weights
from flowdeblur.errors import UserError
from flowdeblur.explain.explain_clip import check_choice, explain_clip, explanations_of
from flowdeblur.types import Restoration
from flowdeblur.video.images import read_image, write_image
from flowdeblur.video.reader import ImageReader, VideoReader

CPU = torch.device("cpu")


class Shift(torch.nn.Module):
    """Its flow is one pixel a frame to the right, as long as the neighbour comes later."""

    def __init__(self, offsets=(0, 1)):
        super().__init__()
        self.frame_offsets, self.current_index = offsets, offsets.index(0)
        self.flow_offsets = tuple(each for each in offsets if each)

    def forward(self, frames, *, keep_rnn_weights=True):
        flow = torch.zeros(1, 2 * len(self.flow_offsets), 16, 16)
        flow[:, ::2] = 0.25
        return Restoration(frames[:, self.current_index], (flow,), ())


@pytest.fixture
def clip(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(5):
        write_image(folder / f"{index}.png", make_image(index, (40, 50)))
    return ImageReader(folder, sorted(folder.iterdir()), Fraction(30))


def test_a_folder_with_page_scores_and_images(clip, tmp_path):
    network = make_model("proposed", width=2)
    explain_clip(network, clip, tmp_path / "why", chosen=[3, 0], duty_cycle=0.5, device=CPU)
    kinds = [
        *("input", "restored", "reblurred", "given_twice", "flow", "kernels"),
        *("difference", "given_twice_flow", "rnn_weights"),
    ]
    assert {each.name for each in (tmp_path / "why").iterdir()} == {
        "index.html",
        "scores.json",
        *(f"{frame}_{kind}.png" for frame in (0, 3) for kind in kinds),
    }
    np.testing.assert_array_equal(
        read_image(tmp_path / "why" / "3_input.png"), make_image(3, (40, 50))
    )
    scores = json.loads((tmp_path / "why" / "scores.json").read_text())
    assert scores["duty_cycle"] == 0.5
    assert [each["frame"] for each in scores["frames"]] == [0, 3]
    for each in scores["frames"]:
        assert each["gain_db"] == pytest.approx(
            each["consistency_db"] - each["consistency_of_input_db"]
        )
    html = (tmp_path / "why" / "index.html").read_text()
    assert html.count("<section") == 2


def test_without_a_choice_every_tenth_frame(tmp_path):
    reader = VideoReader(make_clip(tmp_path / "in.mp4", 23))
    found = explanations_of(Shift(), reader, None, 0.8, CPU)
    assert [each.index for each in found] == [0, 10, 20]


def test_the_last_frame_is_explained_from_its_predecessor(clip):
    first, last = explanations_of(Shift(), clip, [0, 4], 0.8, CPU)
    assert first.explanation.motion.trail.after[0, 0].unique().tolist() == [1.0]
    assert last.explanation.motion.trail.after[0, 0].unique().tolist() == [-1.0]
    ends = explanations_of(Shift((-1, 0, 1)), clip, [0, 2, 4], 0.8, CPU)
    arms = [
        (float(t.before[0, 0, 0, 0]), float(t.after[0, 0, 0, 0]))
        for t in (each.explanation.motion.trail for each in ends)
    ]
    assert arms == [(-1, 1), (1, 1), (1, -1)]


def test_deep_images_are_explained(tmp_path):
    deep = make_image(0, (40, 50)).astype(np.uint16) * 257
    write_image(tmp_path / "deep.png", deep)
    reader = ImageReader(tmp_path / "deep.png", [tmp_path / "deep.png"], Fraction(30))
    (only,) = explanations_of(Shift(), reader, None, 0.8, CPU)
    expected = torch.from_numpy(make_image(0, (40, 50))).permute(2, 0, 1) / 255
    torch.testing.assert_close(only.explanation.blurry, expected)


def test_frames_that_are_not_there(clip, tmp_path):
    message = "^--frames: there is no frame 5; the frames are 0 to 4$"
    with pytest.raises(UserError, match=message):
        check_choice([0, 5], clip)
    clip.count = None  # unknown until the end
    check_choice([0, 5], clip)
    with pytest.raises(UserError, match=message):
        explain_clip(Shift(), clip, tmp_path / "why", chosen=[0, 5], duty_cycle=0.8, device=CPU)
    assert [each.name for each in tmp_path.iterdir()] == ["frames"]


@pytest.fixture
def weights_file(tmp_path):
    from tests.composition import compose_config

    from flowdeblur.engine.configuration import plain

    network = make_model("proposed", width=2)
    config = plain(compose_config("model=proposed", "model.width=2"))["model"]
    weights.save(tmp_path / "w.safetensors", network, config)
    return tmp_path / "w.safetensors"


def deblur(*arguments):
    return cli.main(["deblur", *map(str, arguments), "--device", "cpu"])


def test_the_command_explains(clip, weights_file, tmp_path, capsys):
    why = tmp_path / "why"
    status = deblur(
        clip.path, tmp_path / "out", "--weights", weights_file, "--explain", why, "--frames", "1,4"
    )
    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    explained, restored = said.out.splitlines()
    assert re.fullmatch(
        rf"explained 2 frames \(re-blur gain [+-]\S+ dB\): {why}/index.html", explained
    )
    assert restored.startswith("restored 5 frames in ")
    assert (why / "index.html").is_file()
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_an_interrupted_command_resumes_and_keeps_the_explanation(
    clip, weights_file, tmp_path, monkeypatch, capsys
):
    from flowdeblur.video import writer

    why, out = tmp_path / "why", tmp_path / "out"
    write = writer.write_image

    def interrupted(path, *arguments, **options):
        if path.parent == out and list(out.glob("*.png")):
            raise KeyboardInterrupt
        write(path, *arguments, **options)

    command = (clip.path, out, "--weights", weights_file, "--explain", why, "--frames", "1")
    with monkeypatch.context() as patched:
        patched.setattr(writer, "write_image", interrupted)
        assert deblur(*command) == 130
    pages = {each: each.stat().st_mtime_ns for each in why.rglob("*")}
    capsys.readouterr()
    assert deblur(*command) == 0
    assert capsys.readouterr().out.startswith("restored 4 frames in ")
    assert {each: each.stat().st_mtime_ns for each in why.rglob("*")} == pages
    assert deblur(*command) == 2  # both are complete


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--explain", "why", "--frames", "9"],
            "--frames: there is no frame 9; the frames are 0 to 4",
        ),
        (["--explain", "full"], "full: exists already; name another folder or pass --overwrite"),
        (["--explain", "frames"], "frames: is IN itself; name another folder"),
        (["--explain", "w.safetensors"], "w.safetensors: is a file; name a folder"),
        (["--frames", "1"], "--frames: belongs to --explain DIR; add it"),
    ],
)
def test_mistakes_leave_everything_as_it_was(
    clip, weights_file, tmp_path, monkeypatch, capsys, options, line
):
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    status = deblur("frames", "out", "--weights", weights_file, *options)
    assert status == 2
    assert line in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "option", ["--frames=-1", "--frames=a", "--frames=1,,2", "--duty-cycle=1.5"]
)
def test_values_out_of_range_are_refused(clip, tmp_path, option, capsys):
    with pytest.raises(SystemExit):
        deblur(clip.path, tmp_path / "out", "--explain", tmp_path / "why", option)
    assert "must be" in capsys.readouterr().err
