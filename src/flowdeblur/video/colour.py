"""Colour of videos: YUV frames to RGB arrays and back, without a shift.

A video says how its YUV values are meant in four tags. They are kept, and the same matrix and range
serve both ways, so that frames come back as they were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

# FFmpeg's default conversion (bilinear, rounded coarsely) costs 45 dB there and back on real 4:2:0
# clips; with these flags it is 48 dB to 56 dB, for 8 ms a 720p frame instead of 3 ms.
_ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)

_BT709, _UNSPECIFIED, _BT601 = 1, 2, 5  # ITU-T H.273, MatrixCoefficients
_CONVERTIBLE = (_BT709, 4, _BT601, 6, 7, 9)  # matrices for which FFmpeg has coefficients


@dataclass(frozen=True, slots=True)
class Colour:
    """The colour tags of a video, as numbers of ITU-T H.273 (FFmpeg's own).

    Attributes:
        matrix: YUV to RGB; 2 where the video does not say.
        range: 1 limited (16 to 235), 2 full (0 to 255), 0 where the video does not say.
        primaries: the colours of red, green and blue.
        transfer: the curve between light and values.
    """

    matrix: int = _BT709
    range: int = int(ColorRange.MPEG)
    primaries: int = 1
    transfer: int = 1

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """Read the tags of a decoded frame; what this module cannot convert becomes BT.709."""
        unspecified = frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb
        known = frame.colorspace in _CONVERTIBLE or unspecified
        full = frame.format.name.startswith("yuvj")  # FFmpeg's older way to say full range
        return cls(
            matrix=frame.colorspace if known else _BT709,
            range=int(ColorRange.JPEG) if full else _range_in_yuv(frame),
            primaries=frame.color_primaries,
            transfer=frame.color_trc,
        )

    def to_rgb(self, frame: av.VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
        """Convert a decoded frame to (H, W, 3) uint8."""
        matrix = self._matrix_for(frame.width, frame.height)
        converted = reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=ColorRange.JPEG if frame.format.is_rgb else self._full_or_limited,
            dst_color_range=ColorRange.JPEG,
            interpolation=_ACCURATE,
        )
        return converted.to_ndarray().astype(np.uint8, copy=False)

    def from_rgb(
        self, image: NDArray[np.uint8], pixel_format: str, reformatter: VideoReformatter
    ) -> av.VideoFrame:
        """Convert (H, W, 3) uint8 to a frame of ``pixel_format``, such as yuv420p."""
        height, width = image.shape[:2]
        matrix = self._matrix_for(width, height)
        return reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"),
            format=pixel_format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=self._full_or_limited,
            interpolation=_ACCURATE,
        )

    def tag(self, target: av.VideoFrame | av.VideoCodecContext) -> None:
        """Write the tags to a frame or an encoder."""
        target.colorspace, target.color_range = self.matrix, self.range
        target.color_primaries, target.color_trc = self.primaries, self.transfer

    @property
    def _full_or_limited(self) -> ColorRange:
        return ColorRange.JPEG if self.range == ColorRange.JPEG else ColorRange.MPEG

    def _matrix_for(self, width: int, height: int) -> int:
        """The matrix, where unspecified the one that players assume for that size."""
        if self.matrix != _UNSPECIFIED:
            return self.matrix
        return _BT709 if width >= 1280 or height > 576 else _BT601


def _range_in_yuv(frame: av.VideoFrame) -> int:
    return int(ColorRange.MPEG) if frame.format.is_rgb else frame.color_range
