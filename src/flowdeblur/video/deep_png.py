"""Images with 16 bits per channel, which Pillow cannot read or write in colour."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

DEMUXERS = {"PNG": "png_pipe", "TIFF": "tiff_pipe"}
"""FFmpeg's demuxer for each of Pillow's formats; none of them opens other files."""


def decode(path: Path, kind: str) -> NDArray[np.uint16]:
    """Decode with FFmpeg.

    Args:
        path: the file.
        kind: a key of ``DEMUXERS``.

    Returns:
        (H, W, 3) or, with an alpha channel, (H, W, 4).

    Raises:
        av.FFmpegError, StopIteration, IndexError: the file is damaged.
    """
    with av.open(f"file:{path}", format=DEMUXERS[kind]) as container:
        frame = next(container.decode(video=0))
        has_alpha = any(component.is_alpha for component in frame.format.components)
        image = frame.to_ndarray(format="rgba64le" if has_alpha else "rgb48le")
        return image.astype(np.uint16, copy=False)


def encode(image: NDArray[np.uint16], profile: bytes | None) -> bytes:
    """Encode (H, W, 3) as a PNG file with an optional ICC colour profile."""
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = image.shape[:2]
    codec.pix_fmt, codec.time_base = "rgb48be", Fraction(1)
    codec.sample_aspect_ratio = Fraction(1)  # unset, it would be written as 0:1
    frame = av.VideoFrame.from_ndarray(image, format="rgb48be")
    frame.pts = 0
    file = b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)]))
    end_of_header = 33  # signature 8, length 4, name 4, IHDR 13, checksum 4
    return file[:end_of_header] + _profile_chunk(profile) + file[end_of_header:]


def _profile_chunk(profile: bytes | None) -> bytes:
    if profile is None:
        return b""
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
