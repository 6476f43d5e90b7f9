"""Sound, subtitles, chapters and titles of written videos."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from av.stream import Disposition
from tests.video.clips import decode, make_clip, sound_packets
from tests.video.test_writer import copy

from flowdeblur.errors import UserError


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
    assert caplog.messages == [f"{titled}: not copied to out.mp4: 1 x subtitle"]
    assert len(decode(path)) == 40


def test_sound_that_does_not_fit_is_refused(tmp_path):
    source = make_clip(tmp_path / "in.mkv", sound="pcm_s16le")
    with pytest.raises(
        UserError, match=r"out\.m4v: .* cannot contain pcm_s16le sound; name a \.mkv"
    ):
        copy(source, tmp_path / "out.m4v")
    assert list(tmp_path.iterdir()) == [source]
