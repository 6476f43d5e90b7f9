"""How to synthesize blur, and what is drawn for a clip."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flowdeblur.blur.light import ResponseCurve
from flowdeblur.errors import UserError

VERSION = 2
"""Increased with every change that alters a pixel or the files."""


@dataclass(frozen=True)
class Recipe:
    """Settings of the camera that would have taken the blurry video.

    Attributes:
        duty_cycle: (lowest, highest) exposure / frame interval of the blurry video, in (0, 1]; the
            paper's r. Drawn for every clip, like the other ranges.
        interval: (lowest, highest) frames of the sharp video from one blurry frame to the next. An
            exposure lasts duty cycle x interval of its frames.
        whole_frames: average only the video's own frames, with nothing between them.
        scale: factor by which frames are shrunk first, in linear light.
        response: file with the camera's response curve; None for a gamma of 2.2.
        highlights: (lowest, highest) gain at white before averaging; (1, 1) for none. See
            :func:`~flowdeblur.blur.degradation.expand_highlights`.
        noise: (lowest, highest) standard deviation of the blurry frames' noise at white, as a share
            of white in linear light.
        jpeg: (lowest, highest) quality at which blurry frames are compressed; None for none.
        seed: seed of everything that is drawn.

    Raises:
        UserError: a value is out of its range.
    """

    duty_cycle: tuple[float, float] = (0.6, 1.0)
    interval: tuple[int, int] = (1, 1)
    whole_frames: bool = False
    scale: float = 1.0
    response: str | None = None
    highlights: tuple[float, float] = (1.0, 1.0)
    noise: tuple[float, float] = (0.0, 0.0)
    jpeg: tuple[int, int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _require_range("duty_cycle", self.duty_cycle, 0.01, 1)
        _require_range("interval", self.interval, 1, 10_000)
        _require_range("highlights", self.highlights, 1, 1e6)
        _require_range("noise", self.noise, 0, 1)
        if self.jpeg is not None:
            _require_range("jpeg", self.jpeg, 1, 100)
        if not 0 < self.scale <= 1:
            raise UserError(f"scale is {self.scale}, but must be above 0 and at most 1")
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}, but must not be below 0")
        if self.whole_frames and self.duty_cycle[0] * self.interval[0] < 3:
            raise UserError(
                f"whole frames: an exposure of {self.duty_cycle[0] * self.interval[0]:g} frames "
                "holds no three of them; raise interval or duty_cycle, or let flow interpolate"
            )

    def curve(self) -> ResponseCurve:
        """The camera's response.

        Raises:
            UserError: its file is missing or no response curve.
        """
        if self.response is None:
            return ResponseCurve.gamma()
        return ResponseCurve.read(Path(self.response).expanduser())

    def draw(self, clip: str) -> CaptureSettings:
        """Draw the settings of a clip; they depend only on its name and the seed."""
        rng = np.random.default_rng([self.seed, *hashlib.sha256(clip.encode()).digest()])
        low, high = self.jpeg or (0, 0)
        return CaptureSettings(
            duty_cycle=round(float(rng.uniform(*self.duty_cycle)), 4),
            interval=int(rng.integers(*self.interval, endpoint=True)),
            noise=round(float(rng.uniform(*self.noise)), 6),
            jpeg=int(rng.integers(low, high, endpoint=True)) or None,
            seed=int(rng.integers(2**32)),
            highlight_gain=round(float(rng.uniform(*self.highlights)), 4),
        )

    def as_json(self) -> dict[str, Any]:
        """Everything that the bytes of the result depend on, besides the videos."""
        settings = asdict(self) | {"version": VERSION}
        if self.response is not None:  # the curve itself, not the place of its file
            levels = self.curve().levels.numpy().tobytes()
            settings["response"] = f"sha256:{hashlib.sha256(levels).hexdigest()}"
        return {name: list(v) if isinstance(v, tuple) else v for name, v in settings.items()}


@dataclass(frozen=True)
class CaptureSettings:
    """Settings drawn for a clip; see :class:`Recipe`.

    Attributes:
        duty_cycle: exposure / frame interval.
        interval: frames of the sharp video from one blurry frame to the next.
        noise: standard deviation at white.
        jpeg: quality, or None.
        seed: seed of the noise.
        highlight_gain: gain at white before averaging.
    """

    duty_cycle: float
    interval: int
    noise: float = 0.0
    jpeg: int | None = None
    seed: int = 0
    highlight_gain: float = 1.0

    @property
    def length(self) -> float:
        """Duration of an exposure, in frames of the sharp video."""
        return self.duty_cycle * self.interval


def _require_range(name: str, pair: tuple[float, float], lower: float, upper: float) -> None:
    low, high = pair
    if not lower <= low <= high <= upper:
        given = " .. ".join(f"{each:g}" if abs(each) < 1e300 else "huge" for each in pair)
        raise UserError(f"{name} is {given}, but must ascend, from {lower:g} to {upper:g}")
