"""The pipeline as a library."""

from __future__ import annotations

import csv
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from tests.video.clips import Pick, decode, make_clip, make_image, number

import flowdeblur
from flowdeblur.errors import UserError
from flowdeblur.types import Restoration
from flowdeblur.video.deblur import deblur
from flowdeblur.video.images import write_image


class Darken(Pick):
    def forward(self, frames, *, keep_rnn_weights=False):
        return Restoration(0.5 * frames[:, self.current_index])


def run(source, target, network=None, **settings):
    return flowdeblur.deblur(source, target, weights=network or Pick(), device="cpu", **settings)


def test_it_is_exported():
    assert flowdeblur.deblur is deblur
    assert {"deblur", "restore", "load"} <= set(dir(flowdeblur))
    with pytest.raises(AttributeError, match="nothing"):
        _ = flowdeblur.nothing


def test_a_video_is_restored_and_reported(tmp_path):
    source = make_clip(tmp_path / "in.mp4", 5)
    seen = []
    report = run(source, tmp_path / "out.mp4", Pick((0, 1), 1), progress=seen.append)
    assert [number(image) for _, image in decode(tmp_path / "out.mp4")] == [1, 2, 3, 4, 3]
    assert (report.path, report.frames, report.restored) == (tmp_path / "out.mp4", 5, 5)
    assert (report.device, report.tile, report.damage) == (torch.device("cpu"), None, None)
    assert [each.done for each in seen] == [0, 1, 2, 3, 4, 5]
    assert (seen[0].seconds_left, seen[-1].seconds_left) == (None, 0)
    assert seen[-1].frames_per_second > 0


@pytest.mark.parametrize(("mode", "size"), [("side", (48, 128)), ("split", (48, 64))])
def test_a_comparison_video_is_written_beside_the_output(tmp_path, mode, size):
    source = make_clip(tmp_path / "in.mp4", 3, sound="aac")
    report = run(source, tmp_path / "out.mp4", Darken(), compare=mode)
    assert report.comparison == tmp_path / f"out.{mode}.mp4"
    frames = [image for _, image in decode(report.comparison)]
    assert [image.shape[:2] for image in frames] == [size] * 3
    middle = size[1] // 2
    left, right = frames[1][:, : middle - 4], frames[1][:, middle + 4 :]
    before = make_image(1)
    assert np.abs(left.astype(int) - before[:, : middle - 4]).mean() < 4
    after = before[:, 4 if mode == "side" else middle + 4 :] // 2
    assert np.abs(right.astype(int) - after).mean() < 4
    with av.open(str(report.comparison)) as container:
        assert len(container.streams.audio) == 1
    (tmp_path / "out.mp4").unlink()
    with pytest.raises(UserError, match=rf"out\.{mode}\.mp4: exists already"):
        run(source, tmp_path / "out.mp4", compare=mode)


def test_a_wipe_moves(tmp_path):
    source = make_clip(tmp_path / "in.mp4", 60, rate=Fraction(15))
    report = run(source, tmp_path / "out.mp4", Darken(), compare="wipe")
    frames = [image.mean((0, 2)) for _, image in decode(report.comparison)]
    plain = make_image(0).mean((0, 2))
    # At the start all is restored, two seconds later nothing is.
    assert frames[0][40:60].mean() < 0.7 * plain[40:60].mean()
    assert frames[30][40:60].mean() > 0.9 * make_image(30)[:, 40:60].mean()


def test_blur_is_written_as_csv(tmp_path):
    source = make_clip(tmp_path / "in.mp4", 3)
    report = run(source, tmp_path / "out", blur_csv=tmp_path / "blur.csv", only_blurry=1000)
    rows = list(csv.DictReader((tmp_path / "blur.csv").read_text().splitlines()))
    assert [each["frame"] for each in rows] == ["00000000", "00000001", "00000002"]
    assert [each["restored"] for each in rows] == ["0"] * 3
    assert all(float(each["blur_px"]) >= 0 for each in rows)
    assert (report.frames, report.restored) == (3, 0)


@pytest.mark.parametrize("text", ["0-9", "6-", "10s-25s", "0s-0.3s"])
def test_a_range_beyond_the_clip_names_its_length(tmp_path, text):
    source = make_clip(tmp_path / "in.mp4", 6)
    with pytest.raises(UserError, match=r"which has 6 frames \(0 to 5\), 0\.20 s"):
        run(source, tmp_path / "out.mp4", range=text)
    assert [each.name for each in tmp_path.iterdir()] == ["in.mp4"]


def test_a_comparison_needs_a_video(tmp_path):
    write_image(tmp_path / "a.png", make_image())
    with pytest.raises(UserError, match=r"--compare: .*b.png is not a video"):
        run(tmp_path / "a.png", tmp_path / "b.png", compare="side")


def test_the_library_needs_no_module_of_training_or_of_posix():
    program = (
        "import sys\n"
        "for name in ('fcntl', 'resource', 'termios', 'pwd', 'grp', 'lightning', 'skimage'):\n"
        "    sys.modules[name] = None\n"
        "import numpy, torch, flowdeblur, flowdeblur.video, flowdeblur.video.deblur\n"
        "import flowdeblur.video.pipes, flowdeblur.cli.deblur, flowdeblur.demo.server\n"
        "frames = [numpy.full((40, 50, 3), 100, numpy.uint8)] * 2\n"
        "done = list(flowdeblur.restore(frames, flowdeblur.load('small'), device='cpu'))\n"
        "print(len(done), done[0].shape, done[0].dtype)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (shown.stderr, shown.stdout) == ("", "2 (40, 50, 3) uint8\n")
