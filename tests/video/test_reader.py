from __future__ import annotations

import gc
import re
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from tests.video.clips import cut, decode, make_clip, make_image, number, psnr

from flowdeblur.errors import UserError
from flowdeblur.video.reader import VideoReader

# ITU-R BT.601, BT.709 and BT.2020: the weights of red and blue in luma.
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def yuv_of(path):
    """The decoded planes in float64, and the bits of their values."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    bits = frame.format.components[0].bits
    kind = np.uint16 if bits > 8 else np.uint8
    rows = (np.frombuffer(plane, kind).reshape(frame.height, -1) for plane in frame.planes)
    return np.stack([row[:, : frame.width] for row in rows]).astype(float), bits


def rgb_by_definition(yuv, bits, matrix, *, full):
    """YUV to RGB 0 .. 255 in float64, straight from the definition."""
    red, blue = LUMA[matrix]
    one = 2**bits - 1 if full else 2 ** (bits - 8)
    luma, chroma, black = (one, one, 0) if full else (219 * one, 224 * one, 16 * one)
    y, (u, v) = (yuv[0] - black) / luma, (yuv[1:] - 2 ** (bits - 1)) / chroma
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    return 255 * np.clip(np.stack([r, g, b], -1), 0, 1)


def test_frames_of_a_video(tmp_path):
    path = make_clip(tmp_path / "a.mp4")
    reader = VideoReader(path)
    for _ in range(2):  # it can be read again
        frames = list(reader)
        assert [number(frame.image) for frame in frames] == list(range(6))
        assert [frame.time for frame in frames] == [Fraction(1001 * i, 30000) for i in range(6)]
        assert [frame.name for frame in frames][-1] == "00000005"
    assert reader.size == (48, 64)
    assert reader.count == 6
    assert reader.damage is None
    assert reader.format.rate == Fraction(30000, 1001)
    assert all(psnr(frame.image, make_image(i)) > 35 for i, frame in enumerate(frames))
    assert frames[0].image.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("times", [[0, 10, 50, 55, 100, 250], [0, 400, 410, 420, 430, 440]])
def test_variable_times_are_read(tmp_path, suffix, times):
    path = make_clip(tmp_path / f"a{suffix}", times=times, time_base=Fraction(1, 1000))
    reader = VideoReader(path)
    assert [frame.time * 1000 for frame in reader] == times
    assert reader.damage is None


@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pixels", ["yuv444p", "yuv444p10le"])
def test_colours_follow_the_tags(tmp_path, matrix, full, pixels):
    def tag(stream):
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = 2 if full else 1
        stream.codec_context.options = {"qp": "0"}  # lossless

    path = make_clip(tmp_path / "a.mp4", 1, pixels=pixels, configure=tag)
    (frame,) = VideoReader(path)
    expected = rgb_by_definition(*yuv_of(path), matrix, full=full)
    levels = 257 if frame.image.dtype == np.uint16 else 1
    assert np.abs(frame.image / levels - expected).max() < 1.6  # rounding, twice


@pytest.mark.parametrize(("size", "matrix"), [((48, 64), 5), ((578, 64), 1), ((48, 1280), 1)])
def test_untagged_colours_are_what_players_assume(tmp_path, size, matrix):
    path = make_clip(tmp_path / "a.mp4", 1, size, pixels="yuv444p")
    reader = VideoReader(path)
    (frame,) = reader
    expected = rgb_by_definition(*yuv_of(path), matrix, full=False)
    assert np.abs(frame.image - expected).max() < 1.6
    assert reader.format.colour.matrix == 2


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p"])
def test_the_resolution_of_colour_is_known(tmp_path, pixels):
    path = make_clip(tmp_path / "a.mp4", 1, pixels=pixels)
    assert VideoReader(path).format.chroma == pixels


def test_rgb_video(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "rgb24"
        frame = av.VideoFrame.from_ndarray(make_image(), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    reader = VideoReader(path)
    (frame,) = reader
    np.testing.assert_array_equal(frame.image, make_image())
    assert (reader.format.colour.matrix, reader.format.chroma) == (1, "yuv444p")


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotated_videos_come_upright(tmp_path, degrees):
    path = make_clip(
        tmp_path / "a.mp4", 2, configure=lambda stream: stream.set_display_rotation(degrees)
    )
    reader = VideoReader(path)
    expected = np.rot90(decode(path)[1][1], degrees // 90)  # both turn counterclockwise
    assert reader.size == expected.shape[:2]
    assert psnr(list(reader)[1].image, expected) > 40


def test_mirrored_videos_come_upright(tmp_path):
    matrix = (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    path = make_clip(tmp_path / "a.mp4", 1)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # of the matrix in a track header of version 0
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    assert content[start : start + 36] == identity
    content[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    (frame,) = VideoReader(path)
    assert psnr(frame.image, decode(path)[0][1][:, ::-1]) > 40


def test_pixel_aspect_turns_with_the_video(tmp_path):
    def configure(stream, degrees):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(degrees)

    for degrees, aspect in ((0, Fraction(4, 3)), (90, Fraction(3, 4))):
        path = make_clip(tmp_path / "a.mp4", 1, configure=lambda s, d=degrees: configure(s, d))
        assert VideoReader(path).format.pixel_aspect == aspect


def test_deeper_videos_are_read_in_16_bits(tmp_path):
    path = make_clip(tmp_path / "a.mp4", 1, pixels="yuv420p10le")
    reader = VideoReader(path)
    (frame,) = reader
    assert reader.format.deep
    assert frame.image.dtype == np.uint16
    assert psnr(frame.image / 257, make_image()) > 35


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("part", [0.6, 0.95])
def test_truncated_videos_give_what_is_left_and_a_warning(tmp_path, suffix, part):
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    path = make_clip(tmp_path / f"a{suffix}", 40, sound="pcm_s16le", **options)
    reader = VideoReader(cut(path, part))
    frames = list(reader)
    assert 0 < len(frames) < 40
    reported = re.match(r"is cut off; frames missing at its end: (\d+)", reader.damage)
    assert int(reported[1]) == 40 - len(frames)
    assert not any(frame.damaged for frame in frames[:-1])


def test_damage_in_the_middle_is_reported_and_times_stay(tmp_path):
    path = make_clip(
        tmp_path / "a.mp4", 8, configure=lambda s: setattr(s.codec_context, "gop_size", 1)
    )
    with av.open(str(path)) as container:
        sizes = [(each.pos, each.size) for each in container.demux(video=0) if each.size]
    content = bytearray(path.read_bytes())
    start, size = sizes[3]
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    reader = VideoReader(path)
    frames = list(reader)
    assert reader.damage == "damaged frames, passed through as they are: 3"
    assert [frame.damaged for frame in frames] == [index == 3 for index in range(8)]
    assert [frame.time for frame in frames] == [Fraction(1001 * i, 30000) for i in range(8)]
    sound = [number(frame.image) for frame in frames if not frame.damaged]
    assert sound == [0, 1, 2, 4, 5, 6, 7]


def test_a_trimmed_video_is_not_called_damaged(tmp_path):
    """An edit list shows a part of the frames in the file, as cameras' trimming tools write it."""
    path = make_clip(tmp_path / "a.mp4", 30)
    content = bytearray(path.read_bytes())
    start = content.index(b"elst") + 12
    (length,) = struct.unpack(">I", content[start : start + 4])
    content[start : start + 4] = struct.pack(">I", length // 2)
    path.write_bytes(content)
    reader = VideoReader(path)
    assert len(list(reader)) == 15
    assert reader.damage is None


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    make_clip(tmp_path / "headless.mp4", 20)
    cut(tmp_path / "headless.mp4", 0.5)  # the index of an MP4 stands at its end
    for name in ("zero", "text", "headless"):
        with pytest.raises(UserError, match=rf"{name}\.mp4: not a video, or one that is cut off"):
            VideoReader(tmp_path / f"{name}.mp4")
    with pytest.raises(UserError, match=r"none\.mp4: cannot be read \(No such file"):
        VideoReader(tmp_path / "none.mp4")


@pytest.mark.parametrize("cover", [False, True])
def test_a_file_with_only_sound_is_refused(tmp_path, cover):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        art = container.add_stream("mjpeg", rate=1) if cover else None
        voice = container.add_stream("aac", rate=8000, layout="mono")
        spoken = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        spoken.sample_rate = 8000
        if art:
            art.height, art.width, art.pix_fmt = 48, 64, "yuvj420p"
            art.disposition = Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(make_image(), format="rgb24")
            container.mux([*art.encode(frame.reformat(format="yuvj420p")), *art.encode(None)])
        container.mux([*voice.encode(spoken), *voice.encode(None)])
    with pytest.raises(UserError, match=r"song\.mp4: has no video stream that can be decoded"):
        VideoReader(path)


def test_a_change_of_size_is_refused(tmp_path):
    path = tmp_path / "a.ts"
    parts = [make_clip(tmp_path / f"{h}.ts", 3, (h, 64)) for h in (48, 96)]
    path.write_bytes(b"".join(each.read_bytes() for each in parts))
    with pytest.raises(UserError, match=r"a\.ts: frame 3 is 64x96, but the first is 64x48; cut"):
        list(VideoReader(path))


def test_no_decoded_frame_is_held(tmp_path):
    """Cycles would hold them until the garbage collector comes by, hundreds of frames later."""
    path = make_clip(tmp_path / "a.mp4", 60, configure=lambda s: s.set_display_rotation(90))
    gc.collect()
    gc.disable()
    try:
        for place, _ in enumerate(VideoReader(path)):
            if place % 15 == 14:  # to look takes its time
                held = sum(type(each) is av.VideoFrame for each in gc.get_objects())
                assert held <= 5
    finally:
        gc.enable()


def test_the_length_of_matroska_is_estimated(tmp_path):
    reader = VideoReader(make_clip(tmp_path / "a.mkv", 40))
    assert (reader.count, reader.expected) == (None, 40)
