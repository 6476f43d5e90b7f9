"""Unusual and malicious media: one clear line or warning, never a crash or a silent loss."""

from __future__ import annotations

import os
import re
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from tests.video.clips import make_clip, make_image, number

from flowdeblur.errors import UserError
from flowdeblur.video.images import CorruptImageError, image_size, read_image, read_profile
from flowdeblur.video.inputs import InputClip
from flowdeblur.video.reader import VideoReader
from flowdeblur.video.writer import writing_video


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(*, kind=2, size=(4, 3), bits=8, before=b"", rows=None) -> bytes:
    """A PNG file by hand; ``before`` are chunks in front of the pixels."""
    header = struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0)
    rows = rows if rows is not None else bytes((1 + {2: 3, 3: 1}[kind] * size[0]) * size[1])
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def exif(value: bytes, kind: int) -> bytes:
    """EXIF data whose only tag is the orientation, with a value of a TIFF type."""
    inside = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", 26)
    entry = struct.pack("<HHI", 274, kind, 1) + inside
    tail = value if len(value) > 4 else b""
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0) + tail


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


@pytest.mark.parametrize(
    "content",
    {
        "palette without colours": png(kind=3, rows=bytes(15)),
        "no rows": png(rows=b""),
        "huge": png(size=(2**31 - 1, 2**31 - 1), rows=b"\0"),
        "no width": png(size=(0, 3)),
        "odd depth": png(bits=3),
        "half a header": png()[:20],
        "EPS": EPS,
        "GIF": GIF,
        "FITS": b"SIMPLE  =                    T".ljust(2880),
        "TIFF without tags": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
        "TIFF in a circle": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "BMP of nothing": b"BM" + bytes(60),
        "nothing": b"",
    }.items(),
    ids=lambda each: each[0],
)
def test_files_that_are_not_images(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content[1])
    with pytest.raises(UserError, match=r"^\S+a\.png: (is truncated or not an image|too large)"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, image_size, read_profile])
def test_no_other_decoder_of_pillow_is_used(tmp_path, read, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("was called"))
    for name, content in (("a.png", EPS), ("b.png", GIF)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CorruptImageError):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "warned"),
    {
        "infinite": (exif(struct.pack("<f", float("inf")), 11), False),
        "no number": (exif(struct.pack("<f", float("nan")), 11), False),
        "a fraction of zero": (exif(struct.pack("<II", 1, 0), 5), False),
        "text": (exif(b"ab\0\0", 2), False),
        "zero": (exif(struct.pack("<H", 0), 3), False),
        "nine": (exif(struct.pack("<H", 9), 3), False),
        "six": (exif(struct.pack("<H", 6), 3), False),
        "cut off": (exif(struct.pack("<H", 6), 3)[:12], True),
        "garbage": (b"garbage", True),
    }.values(),
)
def test_exif_data_that_are_damaged_do_not_matter(tmp_path, data, warned, caplog):
    path = tmp_path / "a.png"
    path.write_bytes(png(before=chunk(b"eXIf", data)))
    turned = data == exif(struct.pack("<H", 6), 3)
    assert read_image(path).shape == ((4, 3, 3) if turned else (3, 4, 3))
    if warned:
        assert caplog.messages in ([f"{path}: its EXIF data are damaged and ignored"], [])
    jpeg = tmp_path / "a.jpg"
    Image.fromarray(make_image()).save(jpeg, exif=b"Exif\0\0" + data)
    assert read_image(jpeg).shape == ((64, 48, 3) if turned else (48, 64, 3))
    assert image_size(jpeg) == read_image(jpeg).shape[:2]


@pytest.mark.parametrize("name", ["http:a", "a:b", "50%03d", "concat:a|b", "file:a", "a\nb", "-"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".png"])
def test_names_that_look_like_something_else(tmp_path, name, suffix, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name}{suffix}")
    if suffix == ".png":
        deep = np.zeros((4, 6, 4), ">u2") + np.uint16(65535)
        rows = b"".join(b"\0" + row.tobytes() for row in deep)
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 4, 16, 6, 0, 0, 0))
        body = header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        assert read_image(path).dtype == np.uint16
        return
    make_clip(Path(f"plain{suffix}"), 3).rename(path)
    reader = VideoReader(path)
    out = Path(f"out {path}")
    with writing_video(out, reader.size, reader.format, source=path) as write:
        for frame in reader:
            write(frame)
    assert [number(frame.image) for frame in VideoReader(out)] == [0, 1, 2]
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([path.name, out.name])


@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile {secret}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    ],
)
def test_scripts_that_name_other_files_are_not_followed(tmp_path, script):
    secret = make_clip(tmp_path / "secret.mp4")
    path = tmp_path / "a.mp4"
    path.write_text(script.format(secret=secret.name))
    with pytest.raises(UserError, match=r"a\.mp4: not a video, or one that is cut off"):
        VideoReader(path)


@pytest.mark.parametrize("read", [VideoReader, read_image, image_size])
def test_pipes_and_devices_are_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "a.mp4")
    for path in (tmp_path / "a.mp4", Path("/dev/zero")):
        with pytest.raises(UserError, match=re.escape(f"{path}: is not a regular file")):
            read(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
@pytest.mark.parametrize("text", ["Café", "日本"])
def test_titles_in_other_encodings(tmp_path, suffix, text):
    encoding = "latin-1" if text == "Café" else "utf-8"
    path, out = tmp_path / f"a{suffix}", tmp_path / "b.mkv"
    with av.open(str(path), "w", metadata_encoding=encoding) as container:
        container.metadata["title"] = text
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = 48, 64
        for index in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(make_image(index))))
        container.mux(stream.encode(None))
    reader = VideoReader(path)
    with writing_video(out, reader.size, reader.format, source=path) as write:
        for frame in reader:
            write(frame)
    with av.open(str(out)) as container:
        assert container.metadata["title"] == text


def encode(path, pixels, codec, *, interlaced=False):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pixels
        if interlaced:
            stream.codec_context.options = {"flags": "+ildct", "x264-params": "interlaced=1"}
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(make_image(), format="rgb24").reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_losses_are_announced(tmp_path, caplog):
    VideoReader(encode(tmp_path / "a.mp4", "yuv420p", "libx264"))
    assert caplog.messages == []
    VideoReader(path := encode(tmp_path / "alpha.mov", "yuva444p10le", "prores_ks"))
    assert caplog.messages == [f"{path}: its transparency is not kept"]
    caplog.clear()
    VideoReader(path := encode(tmp_path / "i.mp4", "yuv420p", "libx264", interlaced=True))
    (message,) = caplog.messages
    assert message.startswith(f"{path}: is interlaced and restored as if it were not; deinterlace")


def test_joined_recordings_are_refused(tmp_path):
    one = make_clip(tmp_path / "one.ts", 40, rate=Fraction(25)).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(one + one)
    with pytest.raises(UserError, match=r"joined\.ts: its time stamps jump back at frame \d+"):
        list(VideoReader(path))
    path.write_bytes(one)
    assert len(list(VideoReader(path))) == 40


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("29.97002997", "30000/1001"),
        ("23.976023976023976023976", "24000/1001"),
        ("30000/1001", "30000/1001"),
        ("0.001", "1/1000"),
        ("1000", "1000"),
        ("12.5", "25/2"),
    ],
)
def test_rates_that_encoders_can_store(tmp_path, given, kept):
    Image.fromarray(make_image()).save(tmp_path / "1.png")
    assert InputClip(tmp_path).open(Fraction(given)).format.rate == Fraction(kept)


@pytest.mark.parametrize("given", ["0.000999", "1000.0001", "1e30", "1e400", "1e-30"])
def test_rates_out_of_range(tmp_path, given):
    with pytest.raises(UserError, match=r"^--fps \S+: must be from 0\.001 to 1000"):
        InputClip(tmp_path).open(Fraction(given))
