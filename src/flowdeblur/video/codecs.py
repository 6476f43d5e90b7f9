"""The codecs that videos are written with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowdeblur.errors import UserError
from flowdeblur.video.clip import VideoFormat


@dataclass(frozen=True, slots=True)
class Codec:
    """A video codec.

    Attributes:
        name: name for users.
        encoder: FFmpeg's name.
        suffixes: suffixes of files that can contain it, the usual one first.
        crf: constant rate factor at which the result is hard to distinguish from the frames; None
            if the codec has no such setting.
        deep: whether frames of 16 bits a channel keep more than 8.
        limited: whether black is always 16 and white 235 (of 8 bits), independently of the clip.
        tag: tag that MP4 players expect, if FFmpeg would write another.
        options: encoder options.
    """

    name: str
    encoder: str
    suffixes: tuple[str, ...]
    crf: int | None = None
    deep: bool = True
    limited: bool = False
    tag: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def pixels(self, size: tuple[int, int], video_format: VideoFormat) -> str:
        """FFmpeg's name of the pixel format for frames of ``size``.

        The resolution of colour is the clip's, but full if width or height is odd; browsers and
        hardware decoders may refuse that.
        """
        odd = size[0] % 2 or size[1] % 2
        chroma = "yuv444p" if odd else video_format.chroma
        return f"{chroma}10le" if self.deep and video_format.deep else chroma


class _ProRes(Codec):
    """Always 10 bits, and at least half the resolution of colour."""

    def pixels(self, size: tuple[int, int], video_format: VideoFormat) -> str:
        full = size[0] % 2 or size[1] % 2 or video_format.chroma == "yuv444p"
        return "yuv444p10le" if full else "yuv422p10le"


class _FFV1(Codec):
    """RGB, lossless."""

    def pixels(self, size: tuple[int, int], video_format: VideoFormat) -> str:
        return "gbrp16le" if video_format.deep else "bgr0"


H264 = Codec("h264", "libx264", (".mp4", ".m4v", ".mov", ".mkv"), crf=17, deep=False)
HEVC = Codec(
    "hevc",
    "libx265",
    (".mp4", ".mov", ".mkv"),
    crf=19,
    tag="hvc1",
    options={"x265-params": "log-level=error"},  # otherwise it writes to the terminal
)
PRORES = _ProRes("prores", "prores_ks", (".mov", ".mkv"), limited=True)
FFV1 = _FFV1("ffv1", "ffv1", (".mkv",))

CODECS = (H264, HEVC, PRORES, FFV1)

PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow"),
)
"""Of x264 and x265, the fastest first."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a video is written.

    Args:
        codec: one of ``CODECS``.
        crf: constant rate factor, 0 (best, largest) to 51; None for the codec's own.
        preset: one of ``PRESETS``; slower ones make smaller files.

    Raises:
        UserError: the codec has no such setting, or the setting is out of range.
    """

    codec: Codec = H264
    crf: int | None = None
    preset: str | None = None

    def __post_init__(self) -> None:
        if self.codec.crf is None:
            for option in ("crf", "preset"):
                if getattr(self, option) is not None:
                    raise UserError(
                        f"--{option}: {self.codec.name} has no such setting; leave it out"
                    )

        if self.crf is not None and not 0 <= self.crf <= 51:
            raise UserError(f"--crf {self.crf}: must be from 0 to 51")
        if self.preset not in (*PRESETS, None):
            raise UserError(f"--preset {self.preset}: choose one of {', '.join(PRESETS)}")

    @property
    def options(self) -> dict[str, str]:
        """Encoder options."""
        crf = self.codec.crf if self.crf is None else self.crf
        chosen = {"crf": crf, "preset": self.preset}
        given = {name: str(value) for name, value in chosen.items() if value is not None}
        return {**self.codec.options, **given}
