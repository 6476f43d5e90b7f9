"""Interruptions and errors of ``flowdeblur deblur``: what is left behind, and the one line."""

from __future__ import annotations

import re
import signal
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from tests.disk import room_for
from tests.video.clips import Pick, Raise, cut, decode, make_clip, make_image, number

from flowdeblur.video.images import write_image


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
    """Counts frames, and calls ``stop`` before the fifth."""

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

    for options in (["--no-cuts"], ["--ensemble", "2"], ["--strength", "0.5"], ["--range", "1-"]):
        status, _, error = run(clip, output, *options)
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
