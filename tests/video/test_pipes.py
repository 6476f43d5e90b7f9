from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from tests.video.clips import Pick, decode, make_image, number

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.video.deblur import DeblurJob
from flowdeblur.video.pipes import PipeOutput, PipeReader, RawLayout
from flowdeblur.video.settings import Settings

RGB = RawLayout((48, 64), Fraction(25))


def raw(count, dtype=np.uint8):
    scale = np.iinfo(dtype).max // 255
    return b"".join((make_image(index).astype(dtype) * scale).tobytes() for index in range(count))


def restored(layout, content, network=None):
    reader, out = PipeReader(layout, io.BytesIO(content)), io.BytesIO()
    job = DeblurJob(reader, PipeOutput(reader, layout, out), Settings(device="cpu"))
    report = job.run(network or Pick((0, 1), 1))
    return out.getvalue(), report


@pytest.mark.parametrize(
    ("layout", "dtype"),
    [(RGB, np.uint8), (RawLayout((48, 64), Fraction(25), "rgb48le"), np.uint16)],
)
def test_raw_frames_come_back_in_the_same_layout(layout, dtype):
    content, report = restored(layout, raw(4, dtype))
    frames = np.frombuffer(content, dtype).reshape(4, 48, 64, 3)
    scale = np.iinfo(dtype).max // 255
    for frame, index in zip(frames, (1, 2, 3, 2), strict=True):
        np.testing.assert_array_equal(frame, make_image(index).astype(dtype) * scale)
    assert (report.frames, report.damage) == (4, None)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_y4m_keeps_rate_and_colour_resolution(tmp_path, pixels):
    source = tmp_path / "in.y4m"
    with av.open(str(source), "w", options={"strict": "-1"}) as container:
        stream = container.add_stream("rawvideo", rate=Fraction(30000, 1001))
        stream.height, stream.width, stream.pix_fmt = 48, 64, pixels
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(make_image(index), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pixels)))
    content, _ = restored(RawLayout.parse("y4m"), source.read_bytes())
    (tmp_path / "out.y4m").write_bytes(content)
    assert [number(image) for _, image in decode(tmp_path / "out.y4m")] == [1, 2, 1]
    with av.open(str(tmp_path / "out.y4m")) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.pix_fmt) == (Fraction(30000, 1001), pixels)


@pytest.mark.parametrize(
    "text",
    ["", "1280x720", "1280x720@0", "0x720@30", "1280x720@1/0", "1280x720@30:yuv420p", "y5m"],
)
def test_other_layouts_are_refused(text):
    with pytest.raises(UserError, match=f"^--raw {text}: write y4m, or WIDTHxHEIGHT@RATE"):
        RawLayout.parse(text)


@pytest.mark.parametrize("content", [b"", b"some words"])
@pytest.mark.parametrize("layout", [RGB, RawLayout()])
def test_a_pipe_without_a_frame_is_refused(layout, content):
    with pytest.raises(UserError, match=r"^-: the standard input holds no "):
        PipeReader(layout, io.BytesIO(content))


def test_a_range_beyond_the_end_of_a_pipe_is_an_error():
    reader, out = PipeReader(RGB, io.BytesIO(raw(3))), io.BytesIO()
    settings = Settings(device="cpu", range="9-")
    job = DeblurJob(reader, PipeOutput(reader, RGB, out), settings).checked()
    with pytest.raises(UserError, match="--range: reaches beyond the clip -, which has 3 frames"):
        job.run(Pick())


def test_a_closed_output_ends_the_work():
    read, write = os.pipe()
    os.close(read)
    reader = PipeReader(RGB, io.BytesIO(raw(40)))
    with os.fdopen(write, "wb", buffering=0) as out:
        job = DeblurJob(reader, PipeOutput(reader, RGB, out), Settings(device="cpu"))
        with pytest.raises(RuntimeFailureError, match=r"^-: .* cannot be written \(Broken pipe\)"):
            job.run(Pick())


def test_the_work_ends_though_the_input_stays_open():
    source, feed = os.pipe()
    read, write = os.pipe()
    os.close(read)
    os.write(feed, raw(3))
    os.set_blocking(feed, False)  # the work may have ended, so that nobody reads
    with os.fdopen(write, "wb", buffering=0) as out, os.fdopen(source, "rb") as stream:
        reader = PipeReader(RGB, stream)
        job = DeblurJob(reader, PipeOutput(reader, RGB, out), Settings(device="cpu"))
        failures = []

        def run():
            try:
                job.run(Pick((0,)))
            except RuntimeFailureError as error:
                failures.append(error)

        worker = threading.Thread(target=run)
        worker.start()
        time.sleep(0.2)
        os.write(feed, raw(8))
        worker.join(20)
        assert not worker.is_alive()
        assert len(failures) == 1
    os.close(feed)


def test_a_closed_output_is_noticed_while_the_input_is_silent():
    source, feed = os.pipe()
    read, write = os.pipe()
    os.write(feed, raw(3))
    timers = [threading.Timer(0.3, os.close, [read]), threading.Timer(10, os.close, [feed])]
    with os.fdopen(write, "wb", buffering=0) as out, os.fdopen(source, "rb") as stream:
        reader = PipeReader(RGB, stream)
        job = DeblurJob(reader, PipeOutput(reader, RGB, out), Settings(device="cpu"))
        for each in timers:
            each.start()
        start = time.monotonic()
        with pytest.raises(RuntimeFailureError, match=r"^-: .* cannot be written \(Broken pipe\)"):
            job.run(Pick((0,)))
        assert time.monotonic() - start < 8
        timers[1].cancel()
        timers[1].join()
    os.close(feed)


@pytest.mark.slow
def test_the_command_in_a_pipeline():
    command = [sys.executable, "-m", "flowdeblur", "deblur", "--raw", "64x48@25", "-", "-"]
    command += ["--weights", "small", "--device", "cpu"]
    done = subprocess.run(command, input=raw(3), capture_output=True)
    assert done.returncode == 0
    assert len(done.stdout) == 3 * 48 * 64 * 3
    assert b"restored 3 frames" in done.stderr
