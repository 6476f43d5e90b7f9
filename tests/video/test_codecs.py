"""Codecs, their depth and their options."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from tests.video.clips import decode, make_image, psnr
from tests.video.test_writer import FORMAT, first_stream, frames, write

from flowdeblur.errors import UserError
from flowdeblur.video.clip import Frame
from flowdeblur.video.codecs import FFV1, HEVC, PRORES, Encoding
from flowdeblur.video.colour import Colour
from flowdeblur.video.reader import VideoReader
from flowdeblur.video.settings import Settings


@pytest.mark.parametrize(
    ("codec", "suffix", "encoded"),
    [
        (HEVC, ".mp4", "yuv420p"),
        (HEVC, ".mkv", "yuv420p"),
        (PRORES, ".mov", "yuv422p10le"),
        (PRORES, ".mkv", "yuv422p10le"),
        (FFV1, ".mkv", "bgr0"),
    ],
)
def test_codecs(tmp_path, codec, suffix, encoded):
    encoding = Encoding(codec)
    path = write(tmp_path / f"a{suffix}", frames(8, (96, 128)), encoding=encoding)
    written = decode(path)
    assert first_stream(path)[1] == encoded
    assert [time for time, _ in written] == pytest.approx([i / 25 for i in range(8)], abs=1e-3)
    for index, frame in enumerate(VideoReader(path)):
        image = frame.image // 257 if frame.image.dtype == np.uint16 else frame.image
        assert psnr(image, make_image(index, (96, 128))) > (90 if codec is FFV1 else 38)


def test_hevc_has_the_tag_that_players_look_for(tmp_path):
    path = write(tmp_path / "a.mp4", frames(2, (96, 128)), encoding=Encoding(HEVC))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize(
    ("codec", "suffix", "levels"), [(HEVC, ".mp4", 3), (PRORES, ".mov", 1), (FFV1, ".mkv", 0)]
)
def test_deep_frames_keep_more_than_8_bits(tmp_path, codec, suffix, levels):
    """A slow ramp, which 8 bits would turn into steps of 257."""
    ramp = np.linspace(20000, 24000, 128).astype(np.uint16)
    deep = np.ascontiguousarray(np.broadcast_to(ramp[:, None], (96, 128, 3)))
    clip = [Frame(deep, str(i), Fraction(i, 25)) for i in range(2)]
    encoding = Encoding(codec, None if codec.crf is None else 1)
    path = write(tmp_path / f"a{suffix}", clip, replace(FORMAT, deep=True), encoding=encoding)
    reader = VideoReader(path)
    assert reader.format.deep
    for frame in reader:
        assert frame.image.dtype == np.uint16
        columns = frame.image.mean((0, 2))
        assert np.abs(columns - ramp).max() <= 64 * levels
        if levels == 0:
            np.testing.assert_array_equal(frame.image, deep)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_deep_clips_are_decoded_in_the_order_of_their_times(tmp_path, count):
    """Ten times, because x265 leaves such clips' decoding times to chance."""
    clip = [
        replace(each, image=each.image.astype(np.uint16) * 257) for each in frames(count, (96, 128))
    ]
    for attempt in range(10):
        path = tmp_path / f"{attempt}.mp4"
        write(path, clip, replace(FORMAT, deep=True), encoding=Encoding(HEVC))
        with av.open(str(path)) as container:
            packets = [each for each in container.demux(video=0) if each.size]
        decoded = [each.dts for each in packets]
        assert decoded == sorted(decoded)
        assert decoded[0] >= -3 * packets[0].duration
        assert all(each.dts <= each.pts for each in packets)
        assert len(list(VideoReader(path))) == count


def test_prores_of_a_full_range_clip_keeps_its_colours(tmp_path):
    full = replace(FORMAT, colour=Colour(1, 2))
    path = write(tmp_path / "a.mov", frames(2, (96, 128)), full, encoding=Encoding(PRORES))
    (first, _) = VideoReader(path)
    assert psnr(np.round(first.image / 257), make_image(0, (96, 128))) > 38


def test_deep_frames_in_h264_are_announced(tmp_path, caplog):
    write(tmp_path / "a.mp4", frames(1), replace(FORMAT, deep=True))
    assert caplog.messages == [
        f"{tmp_path}/a.mp4: frames of more than 8 bits are written in 8; --codec hevc keeps 10"
    ]


@pytest.mark.parametrize("option", ["crf", "preset"])
def test_options_that_a_codec_has_not_are_refused(option):
    with pytest.raises(UserError, match=rf"--{option}: prores has no such setting; leave it out"):
        Encoding(PRORES, **{option: 1})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"codec": "av1"}, "--codec av1: choose one of h264, hevc, prores, ffv1"),
        ({"crf": 99}, "--crf 99: must be from 0 to 51"),
        ({"preset": "slowest"}, "--preset slowest: choose one of ultrafast, "),
        ({"fps": "x"}, "--fps x: must be a number above 0, as 24 or 30000/1001"),
        ({"fps": 0}, "--fps 0: must be a number above 0"),
        ({"fps": "1/0"}, "--fps 1/0: must be a number above 0"),
    ],
)
def test_settings_of_a_video_are_checked_before_anything_is_read(setting, message):
    with pytest.raises(UserError, match=message):
        Settings(**setting)


def test_a_slower_preset_is_handed_on():
    assert Encoding(preset="veryslow").options == {"crf": "17", "preset": "veryslow"}
