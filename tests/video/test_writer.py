from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from tests.disk import room_for
from tests.video.clips import decode, make_clip, make_image, number, psnr

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.video.clip import Frame, VideoFormat
from flowdeblur.video.codecs import H264, Encoding
from flowdeblur.video.colour import Colour
from flowdeblur.video.journal import Journal
from flowdeblur.video.reader import VideoReader
from flowdeblur.video.writer import writing_image, writing_images, writing_video

FORMAT = VideoFormat(Fraction(25), Fraction(1, 25))


def frames(count=6, size=(48, 64), step=Fraction(1, 25)):
    return [Frame(make_image(i, size), f"{i:08d}", i * step) for i in range(count)]


def write(path, clip, video_format=FORMAT, crf=17, encoding=None):
    encoding = encoding or Encoding(H264, crf)
    with writing_video(path, clip[0].image.shape[:2], video_format, encoding=encoding) as sink:
        for frame in clip:
            sink(frame)
    return path


def copy(source, path, crf=17):
    reader = VideoReader(source)
    encoding = Encoding(H264, crf)
    with writing_video(path, reader.size, reader.format, encoding=encoding, source=source) as sink:
        for frame in reader:
            sink(frame)
    return path


def first_stream(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        tags = codec.colorspace, codec.color_range, codec.color_primaries, codec.color_trc
        aspect = stream.sample_aspect_ratio
        return stream.average_rate, codec.pix_fmt, (codec.height, codec.width), tags, aspect


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv"])
def test_every_frame_is_kept_with_its_time(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", frames(10))
    written = decode(path)
    assert [number(image) for _, image in written] == list(range(10))
    assert [time for time, _ in written] == [Fraction(i, 25) for i in range(10)]
    assert first_stream(path)[:3] == (25, "yuv420p", (48, 64))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (1, 1)])
def test_odd_sizes_survive(tmp_path, size):
    path = write(tmp_path / "a.mp4", frames(3, size))
    assert [image.shape[:2] for _, image in decode(path)] == [size] * 3
    assert first_stream(path)[1] == "yuv444p"


@pytest.mark.parametrize("start", [0, 1001, 31234])
def test_variable_times_are_exact(tmp_path, start):
    ticks = [start + each for each in (0, 3000, 3700, 9000, 9001, 50000, 51000, 60000)]
    clip = [Frame(make_image(i), "", Fraction(each, 90000)) for i, each in enumerate(ticks)]
    path = write(tmp_path / "a.mp4", clip, VideoFormat(Fraction(25), Fraction(1, 90000)))
    assert [time * 90000 for time, _ in decode(path)] == ticks


def test_repeated_times_keep_every_frame(tmp_path):
    clip = [Frame(make_image(i), "", Fraction(t, 25)) for i, t in enumerate([0, 1, 1, 1, 3, 2, 9])]
    written = decode(write(tmp_path / "a.mp4", clip))
    assert [number(image) for _, image in written] == list(range(7))
    assert [time * 25 for time, _ in written] == [0, 1, 2, 3, 4, 5, 9]


@pytest.mark.parametrize(
    "colour", [Colour(), Colour(6, 1, 6, 6), Colour(1, 2), Colour(9, 1, 9, 14), Colour(2, 0, 2, 2)]
)
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_colours_do_not_shift(tmp_path, colour, size):
    """Written and read again, smooth images come back; tags stay."""
    video_format = VideoFormat(Fraction(25), Fraction(1, 25), colour)
    path = write(tmp_path / "a.mp4", frames(3, size), video_format, crf=0)
    assert first_stream(path)[3] == (colour.matrix, colour.range, colour.primaries, colour.transfer)
    for index, frame in enumerate(VideoReader(path)):
        difference = frame.image.astype(float) - make_image(index, size)
        assert psnr(frame.image, make_image(index, size)) > 47
        assert np.abs(difference.mean((0, 1))).max() < 0.3


def test_decoded_frames_survive_another_coding(tmp_path):
    """RGB and back and lossless coding: chroma stays in its place, between the same pixels."""
    source = make_clip(tmp_path / "in.mp4", 4, (144, 192))
    path = copy(source, tmp_path / "out.mp4", crf=0)
    with av.open(str(source)) as one, av.open(str(path)) as other:
        for before, after in zip(one.decode(video=0), other.decode(video=0), strict=True):
            assert psnr(before.to_ndarray(), after.to_ndarray()) > 53


def test_format_of_the_source_is_kept(tmp_path):
    def configure(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        Colour(6, 1, 6, 6).tag(stream.codec_context)

    source = make_clip(tmp_path / "in.mp4", pixels="yuv422p", configure=configure)
    path = copy(source, tmp_path / "out.mp4")
    assert first_stream(path) == first_stream(source)
    with av.open(str(source)) as one, av.open(str(path)) as other:
        before, after = one.streams.video[0], other.streams.video[0]
        assert before.duration * before.time_base == after.duration * after.time_base


def test_rotated_videos_are_written_upright(tmp_path):
    source = make_clip(
        tmp_path / "in.mp4", 2, configure=lambda stream: stream.set_display_rotation(-90)
    )
    path = copy(source, tmp_path / "out.mp4")
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (48, 64, 0)
    assert psnr(decode(path)[0][1], np.rot90(make_image(0), -1)) > 35


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.avi: h264 goes into \.mp4, \.m4v, \.mov, \.mkv files"):
        write(tmp_path / "a.avi", frames(1))


def noise(count):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 96, 128, 3), np.uint8)
    return [Frame(each, str(i), Fraction(i, 25)) for i, each in enumerate(images)]


@pytest.mark.parametrize("count", [1, 80])
def test_a_full_disk_leaves_no_video(tmp_path, count):
    message = r"a\.mp4: cannot be written \(File too large\); free disk space"
    with room_for(5_000), pytest.raises(RuntimeFailureError, match=message):
        write(tmp_path / "a.mp4", noise(count))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_image(tmp_path):
    def run():
        with writing_images(Journal(tmp_path / "out", "origin")) as sink:
            sink(frames(1)[0])
            sink(noise(1)[0])

    message = r"out: cannot be written \(File too large\); free disk space"
    with room_for(5_000), pytest.raises(RuntimeFailureError, match=message):
        run()
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        ".unfinished",
        "00000000.png",
    ]


def test_a_better_quality_is_closer(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 1), dtype=np.uint8).repeat(3, 2)
    clip = [Frame(noise, "", Fraction(0))]
    close, far = (decode(write(tmp_path / "a.mp4", clip, crf=crf))[0][1] for crf in (1, 40))
    assert psnr(close, noise) > psnr(far, noise) + 10


def test_deep_frames_are_rounded_to_8_bits(tmp_path):
    deep = np.clip(make_image(), 1, 254).astype(np.uint16) * 257
    written = (
        decode(write(tmp_path / "a.mp4", [Frame(each, "", Fraction(0))], crf=1))[0][1]
        for each in (deep, deep + 100, deep - 100)
    )
    shallow = [Frame(np.clip(make_image(), 1, 254), "", Fraction(0))]
    plain = decode(write(tmp_path / "plain.mp4", shallow, crf=1))[0][1]
    for image in written:
        np.testing.assert_array_equal(image, plain)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("written", [0, 1, 5])
def test_an_interrupted_video_leaves_nothing(tmp_path, error, written):
    source = make_clip(tmp_path / "in.mp4", sound="aac")
    earlier = tmp_path / "out.mp4"
    earlier.write_text("earlier")

    def interrupted():
        with writing_video(earlier, (48, 64), FORMAT, source=source) as sink:
            for frame in frames(written):
                sink(frame)
            raise error

    with pytest.raises(error):
        interrupted()
    assert sorted(tmp_path.iterdir()) == [source, earlier]
    assert earlier.read_text() == "earlier"


def test_images_are_written_under_the_names_of_the_frames(tmp_path):
    deep = Frame(make_image(3).astype(np.uint16) * 257, "deep", Fraction(0))
    with writing_images(Journal(tmp_path / "out", "origin")) as sink:
        for frame in [*frames(2), deep]:
            sink(frame)
    names = ["00000000.png", "00000001.png", "deep.png"]
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == names
    np.testing.assert_array_equal(Image.open(tmp_path / "out" / names[1]), make_image(1))
    with av.open(str(tmp_path / "out" / names[2])) as container:
        np.testing.assert_array_equal(next(container.decode(video=0)).to_ndarray(), deep.image)


def test_one_image_is_written(tmp_path):
    with writing_image(tmp_path / "a.tif") as sink:
        sink(frames(1)[0])
    np.testing.assert_array_equal(Image.open(tmp_path / "a.tif"), make_image(0))
