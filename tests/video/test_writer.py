from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image
from tests.disk import room_for
from tests.video.clips import decode, make_clip, make_image, number, psnr, sound_packets

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.video.clip import Frame, VideoFormat
from flowdeblur.video.codecs import FFV1, H264, HEVC, PRORES, Encoding
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


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mp4"), ("pcm_s16le", ".mkv")])
def test_sound_is_copied_as_it_is(tmp_path, codec, suffix):
    source = make_clip(tmp_path / f"in{suffix}", 40, sound=codec)
    path = copy(source, tmp_path / f"out{suffix}")
    assert len(sound_packets(source)) >= (10 if codec == "aac" else 1)
    assert sound_packets(path) == sound_packets(source)
    assert [time for time, _ in decode(path)] == [time for time, _ in decode(source)]


def test_title_and_date_are_kept(tmp_path):
    source, path = tmp_path / "in.mp4", tmp_path / "out.mp4"
    plain = make_clip(tmp_path / "plain.mp4", 2)
    facts = {"title": "A walk", "creation_time": "2019-05-06T11:13:28.000000Z"}
    with av.open(str(plain)) as container, av.open(str(source), "w") as titled:
        titled.metadata.update(facts)
        video = titled.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = video
                titled.mux(packet)
    copy(source, path)
    with av.open(str(path)) as container:
        assert facts.items() <= container.metadata.items()


@pytest.fixture
def titled(tmp_path):
    """A video with sound, subtitles and chapters."""
    path, text = tmp_path / "in.mkv", tmp_path / "a.srt"
    plain = make_clip(tmp_path / "plain.mkv", 40, sound="aac")
    text.write_text(
        "1\n00:00:00,100 --> 00:00:00,500\nHello\n\n2\n00:00:01,000 --> 00:00:01,200\nYou\n"
    )
    chapters = [
        {"id": i, "start": 600 * i, "end": 600 * (i + 1), "time_base": Fraction(1, 1000)}
        | {"metadata": {"title": f"part {i}"}}
        for i in range(2)
    ]
    with (
        av.open(str(plain)) as container,
        av.open(str(text)) as lines,
        av.open(str(path), "w") as target,
    ):
        target.set_chapters(chapters)
        originals = [*container.streams, lines.streams.subtitles[0]]
        copies = {each: target.add_stream_from_template(each) for each in originals}
        copies[originals[1]].metadata["language"] = "fra"
        copies[originals[2]].metadata["language"] = "swe"
        copies[originals[2]].disposition = Disposition.forced
        for source in (container, lines):
            for packet in source.demux():
                if packet.size:
                    packet.stream = copies[packet.stream]
                    target.mux(packet)
    return path


def subtitles(path):
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.subtitles[0])
        return [(float(each.pts * each.time_base), bytes(each)) for each in packets if each.size]


def test_subtitles_and_chapters_are_copied(titled, tmp_path, caplog):
    path = copy(titled, tmp_path / "out.mkv")
    assert [text for _, text in subtitles(path)] == [b"Hello", b"You"]
    assert subtitles(path) == subtitles(titled)
    assert sound_packets(path) == sound_packets(titled)
    with av.open(str(path)) as container:
        assert [each.language for each in container.streams] == [None, "fra", "swe"]
        assert container.streams[2].disposition == Disposition.forced
        chapters = [
            (each["start"] * each["time_base"], each["metadata"]["title"])
            for each in container.chapters()
        ]
    assert chapters == [(0, "part 0"), (Fraction(3, 5), "part 1")]
    assert caplog.messages == []


def test_subtitles_that_do_not_fit_are_announced_as_left_out(titled, tmp_path, caplog):
    path = copy(titled, tmp_path / "out.mp4")
    assert caplog.messages == [f"{titled}: not copied: 1 x subtitle"]
    assert len(decode(path)) == 40


def test_sound_that_does_not_fit_is_refused(tmp_path):
    source = make_clip(tmp_path / "in.mkv", sound="pcm_s16le")
    with pytest.raises(
        UserError, match=r"out\.m4v: .* cannot contain pcm_s16le sound; name a \.mkv"
    ):
        copy(source, tmp_path / "out.m4v")
    assert list(tmp_path.iterdir()) == [source]


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.avi: h264 goes into \.mp4, \.m4v, \.mov, \.mkv files"):
        write(tmp_path / "a.avi", frames(1))


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


def test_a_slower_preset_is_handed_on():
    assert Encoding(preset="veryslow").options == {"crf": "17", "preset": "veryslow"}


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
