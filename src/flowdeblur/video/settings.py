"""All that a user may choose about restoring a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch

from flowdeblur.devices import DTYPES, automatic_dtype
from flowdeblur.errors import UserError
from flowdeblur.networks.scales import choose_scale
from flowdeblur.networks.tiles import ALIGNMENT, MIN_TILE
from flowdeblur.video.codecs import Encoding
from flowdeblur.video.compare import COMPARISONS, Comparison
from flowdeblur.video.controls import BLUR_THRESHOLD_PX, Controls, FrameRange
from flowdeblur.video.outputs import choose_encoding

_MIN_TILE = MIN_TILE + ALIGNMENT  # below it most of a tile is overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Choices for one clip, as on the command line.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, ...; None for the GPU if there is one.
        dtype: precision of convolutions: ``float32``, ``bfloat16``, ``float16``, or ``auto`` for
            the fastest that the device has instructions for.
        tile: restore in overlapping tiles of this many pixels, a multiple of 64 from 192 on; None
            for whole frames, or tiles where memory is short.
        verify: whether the difference that tiles make is measured on the first frame.
        compile: whether the network is compiled first, which pays off in long clips.
        batch: frames at a time; None for 1 on a CPU and what fits up to 8 on a GPU.
        scale: 1, a lower scale as 0.5, several from coarse to fine as ``0.25,0.5,1``, or ``auto``
            to choose by the estimated blur.
        ensemble: 2, 4 or 8: take the mean over as many mirrored and turned views of the frame.
        strength: 0 keeps the input, 1 takes the restored frame.
        only_blurry: frames whose estimated blur is below this many pixels pass through; True for
            the default threshold, None restores all.
        blur_csv: file for the estimated blur of each frame.
        keep_grain: whether the input's fine noise is put back.
        range: part of the clip to restore, ``10s-25s`` or ``100-250`` (frames).
        compare: ``side``, ``split`` or ``wipe``: also write a comparison video; ``input``: the
            input in the encoding of the output.
        cuts: whether no frame is restored with a frame of another shot.
        codec: ``h264``, ``hevc``, ``prores`` or ``ffv1``; None for H.264.
        crf: quality of H.264 and HEVC, 0 (best) to 51.
        preset: speed of H.264 and HEVC.
        fps: frame rate of a video made from images.
        overwrite: whether an existing output is replaced.

    Raises:
        UserError: a value is out of range.
    """

    device: str | None = None
    dtype: str = "auto"
    tile: int | None = None
    verify: bool = False
    compile: bool = False
    batch: int | None = None
    scale: str | float | Sequence[float] = 1.0
    ensemble: int = 1
    strength: float = 1.0
    only_blurry: float | bool | None = None
    blur_csv: str | Path | None = None
    keep_grain: bool = False
    range: str | None = None
    compare: str | None = None
    cuts: bool = True
    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    fps: Fraction | float | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in (*DTYPES, "auto"):
            raise UserError(f"--dtype {self.dtype}: choose one of auto, {', '.join(DTYPES)}")
        if self.compare not in (*COMPARISONS, None):
            raise UserError(f"--compare {self.compare}: choose one of {', '.join(COMPARISONS)}")
        if self.tile is not None and (self.tile < _MIN_TILE or self.tile % ALIGNMENT):
            raise UserError(f"--tile {self.tile}: must be a multiple of 64 from {_MIN_TILE} on")
        if self.compile and self.tile is not None:
            raise UserError("--compile: is for whole frames; leave --tile or it out")
        if self.batch is not None and self.batch < 1:
            raise UserError(f"--batch {self.batch}: must be 1 or more")
        self.controls()
        self.encoding()
        _ = self.rate

    def controls(self) -> Controls:
        """How frames are restored; made anew for each clip, because ``auto`` keeps a mean."""
        threshold = BLUR_THRESHOLD_PX if self.only_blurry is True else self.only_blurry
        return Controls(
            scale=choose_scale(self.scale),
            ensemble=self.ensemble,
            strength=self.strength,
            only_blurry=None if threshold is False else threshold,
            keep_grain=self.keep_grain,
            range=FrameRange.parse(self.range) if self.range else None,
            measure_blur=self.blur_csv is not None,
            cuts=self.cuts,
        )

    def encoding(self) -> Encoding:
        """How a video is written."""
        return choose_encoding(self.codec, self.crf, self.preset)

    def for_images(self) -> Settings:
        """The same, without what concerns videos only."""
        return replace(self, codec=None, crf=None, preset=None)

    def comparison(self) -> Comparison | None:
        """What draws the comparison video."""
        return COMPARISONS[self.compare] if self.compare else None

    @property
    def rate(self) -> Fraction | None:
        """Frame rate of a video made from images."""
        try:
            rate = None if self.fps is None else Fraction(str(self.fps))
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if rate is not None and rate <= 0:
            raise UserError(f"--fps {self.fps}: must be a number above 0, as 24 or 30000/1001")
        return rate

    def torch_dtype(self, device: torch.device) -> torch.dtype:
        """The precision on a device."""
        return automatic_dtype(device) if self.dtype == "auto" else DTYPES[self.dtype]

    def identity(self, dtype: torch.dtype) -> tuple[object, ...]:
        """What changes the frames: an interrupted folder is resumed with the same values only."""
        return (
            *(self.tile, dtype, self.cuts, self.scale, self.strength, self.only_blurry),
            *(self.keep_grain, self.range, self.ensemble),
        )
