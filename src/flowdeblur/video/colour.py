"""Colour of videos: YUV frames to RGB arrays and back, without a shift.

A video says how its YUV values are meant in four tags. They are kept, and the same matrix and range
serve both ways, so that frames come back as they were read. Three things FFmpeg does by itself
would shift colours: it converts coarsely by default; it places the chroma of a new 4:2:0
frame in the middle of four pixels, where decoders of H.264 look for it at the left pair; and
between YUV and RGB of 16 bits it takes 255 * 256 for white.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self, cast

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from flowdeblur.video.images import ImageArray

# To RGB and back, luma of six real clips returned at 45 to 49 dB with FFmpeg's defaults (bilinear,
# coarse rounding) and at 49 to 85 dB with these flags, which take 13 ms a 720p frame.
_ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)

_RGB = {False: "rgb24", True: "rgb48le"}  # by whether an image has 16 bits per channel

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
        """Read the tags of a decoded frame; of RGB and rare kinds of YUV, what to write them as."""
        if frame.format.is_rgb or frame.colorspace not in (*_CONVERTIBLE, _UNSPECIFIED):
            return cls(primaries=frame.color_primaries, transfer=frame.color_trc)
        full = frame.format.name.startswith("yuvj")  # FFmpeg's older way to say full range
        return cls(
            matrix=frame.colorspace,
            range=int(ColorRange.JPEG) if full else frame.color_range,
            primaries=frame.color_primaries,
            transfer=frame.color_trc,
        )

    def to_rgb(
        self, frame: av.VideoFrame, reformatter: VideoReformatter, *, deep: bool = False
    ) -> ImageArray:
        """Convert a decoded frame to (H, W, 3), uint8 or, if ``deep``, uint16."""
        converted = reformatter.reformat(
            frame,
            format=_RGB[deep],
            src_colorspace=self.matrix_for(frame.height, frame.width),
            dst_colorspace=_BT709,  # without meaning for RGB
            src_color_range=ColorRange.JPEG if self.full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=_ACCURATE,
        )
        if not deep:
            return converted.to_ndarray().astype(np.uint8, copy=False)
        image = converted.to_ndarray().astype(np.uint16, copy=False)
        if frame.format.is_rgb:
            return image
        scaled: ImageArray = image + np.minimum(image >> 8, np.iinfo(np.uint16).max - image)
        return scaled

    def tag(self, encoder: av.VideoCodecContext) -> None:
        """Have an encoder, whose pixel format is set, write the tags."""
        rgb = encoder.format is not None and encoder.format.is_rgb
        encoder.colorspace, encoder.color_range = (0, 2) if rgb else (self.matrix, self.range)
        encoder.color_primaries, encoder.color_trc = self.primaries, self.transfer

    @property
    def full(self) -> bool:
        """Whether black is 0 and white 255."""
        return self.range == ColorRange.JPEG

    def matrix_for(self, height: int, width: int) -> int:
        """The matrix, where the video does not say the one that players assume for its size."""
        if self.matrix != _UNSPECIFIED:
            return self.matrix
        return _BT709 if width >= 1280 or height > 576 else _BT601


class FromRgb:
    """Converts images to frames for an encoder.

    Args:
        colour: how YUV values shall be meant.
        size: (H, W) of the images.
        pixels: FFmpeg's name of the encoder's pixel format.
        deep: whether the images are uint16 instead of uint8.
    """

    def __init__(
        self, colour: Colour, size: tuple[int, int], pixels: str, *, deep: bool = False
    ) -> None:
        height, width = size
        stages = [("format", pixels)]
        if pixels.startswith("yuv"):
            matrix, span = colour.matrix_for(height, width), "full" if colour.full else "limited"
            into_yuv = f"in_range=full:out_range={span}:out_color_matrix={matrix}"
            stages.insert(0, ("scale", f"{into_yuv}:out_chroma_loc=left:flags={int(_ACCURATE)}"))
            if colour.full:
                # FFmpeg rounds chroma of full range downwards: half a level of 8 bits, nothing of
                # 14.
                stages[1:1] = [
                    ("format", f"{pixels.removesuffix('10le')}14le"),
                    ("scale", f"in_range=full:out_range=full:flags={int(_ACCURATE)}"),
                ]
        self._rgb, self._scaled = _RGB[deep], deep and pixels.startswith("yuv")
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=width, height=height, format=av.VideoFormat(self._rgb), time_base=Fraction(1)
        )
        chain = [self._graph.add(*stage) for stage in (*stages, ("buffersink", ""))]
        self._graph.link_nodes(source, *chain).configure()

    def __call__(self, image: ImageArray) -> av.VideoFrame:
        """Convert an image."""
        array = cast("NDArray[np.uint8]", np.ascontiguousarray(image))  # or uint16
        if self._scaled:
            array = array - (array >> 8)
        self._graph.push(av.VideoFrame.from_ndarray(array, self._rgb))
        frame = self._graph.pull()
        assert isinstance(frame, av.VideoFrame)
        return frame
