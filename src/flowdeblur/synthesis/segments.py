"""Short blurry clips of a wanted blur length, cut out of longer sharp ones.

A segment is a few consecutive blurry frames of one window of a video: the camera that took them is
drawn (frame interval, duty cycle, scale, response), and the blur that results is measured. Of many
drawn segments, those are chosen whose blur lengths are spread as wanted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.blur.light import ResponseCurve
from flowdeblur.synthesis.capture import BlurLength, expose
from flowdeblur.synthesis.footage import Footage
from flowdeblur.synthesis.recipe import CaptureSettings
from flowdeblur.synthesis.survey import GRID, Survey

Window = tuple[int, int, int, int]
"""(top, left, height, width) in pixels of the shrunk frame."""

_MARGIN = 48
"""Pixels around a window that are synthesized with it, so that motion can bring them in."""


@dataclass(frozen=True)
class SegmentRules:
    """What is drawn for a segment.

    Attributes:
        frames: consecutive blurry frames of a segment.
        window: (H, W) of a segment, turned for upright clips; frames are not shrunk below it. None
            for whole frames.
        interval: (lowest, highest) frames of the video from one blurry frame to the next.
        duty_cycle: (lowest, highest) exposure / frame interval.
        scale: (lowest, highest) factor by which frames are shrunk, drawn log-uniformly.
        lines: shrink so that the shorter side has so many pixels, instead of ``scale``.
        gamma: (lowest, highest) exponent of the camera's response.
        highlights: (lowest, highest) gain of highlights, drawn log-uniformly.
        min_sharpness: sharp frames with less are not used; see
            :func:`~flowdeblur.synthesis.survey.sharpness`.
        min_moving: smallest share of moving pixels.
        min_contrast: smallest standard deviation of the gray values in the window, of 255.
    """

    frames: int = 3
    window: tuple[int, int] | None = (288, 352)
    interval: tuple[int, int] = (1, 7)
    duty_cycle: tuple[float, float] = (0.5, 1.0)
    scale: tuple[float, float] = (0.25, 1.0)
    lines: int | None = None
    gamma: tuple[float, float] = (1.8, 2.6)
    highlights: tuple[float, float] = (1.0, 4.0)
    min_sharpness: float = 0.55
    min_moving: float = 0.3
    min_contrast: float = 12.0


@dataclass(frozen=True)
class Segment:
    """Some blurry frames of a window of a clip.

    Attributes:
        clip: name of the sharp clip.
        center: its frame in the middle of the first exposure.
        frames: blurry frames.
        settings: the camera.
        gamma: exponent of its response.
        scale: factor by which frames are shrunk.
        window: what is seen of the shrunk frame.
        blur: blur of the middle frame, estimated from the survey.
    """

    clip: str
    center: int
    frames: int
    settings: CaptureSettings
    gamma: float
    scale: float
    window: Window
    blur: BlurLength

    @property
    def reach(self) -> int:
        """Frames of the sharp clip that an exposure needs before and after its middle."""
        return math.ceil(self.settings.length / 2)

    @property
    def first(self) -> int:
        """First frame of the sharp clip that is needed."""
        return self.center - self.reach

    @property
    def last(self) -> int:
        """Last frame of the sharp clip that is needed."""
        return self.center + (self.frames - 1) * self.settings.interval + self.reach


def draw_segment(
    clip: str, survey: Survey, rules: SegmentRules, random: np.random.Generator
) -> Segment | None:
    """Draw a segment of a clip; None where it does not satisfy the rules."""
    interval = int(random.integers(*rules.interval, endpoint=True))
    settings = CaptureSettings(
        duty_cycle=round(float(random.uniform(*rules.duty_cycle)), 3),
        interval=interval,
        highlight_gain=round(float(np.exp(random.uniform(*np.log(rules.highlights)))), 3),
    )
    gamma = round(float(random.uniform(*rules.gamma)), 3)
    scale = round(float(np.exp(random.uniform(*np.log(rules.scale)))), 4)
    if rules.lines:
        scale = min(rules.lines / min(survey.size), 1.0)
    window = rules.window
    if window and survey.size[0] > survey.size[1]:
        window = (window[1], window[0])
    if window:
        fitting = max(window[0] / survey.size[0], window[1] / survey.size[1])
        scale = max(scale, math.ceil(1e4 * fitting) / 1e4)
    if scale > 1:
        return None
    height, width = (round(scale * extent) for extent in survey.size)
    rows, columns = window or (height, width)
    top, left = int(random.integers(height - rows + 1)), int(random.integers(width - columns + 1))
    reach = math.ceil(settings.length / 2)
    positions = len(survey.brightness) - 2 * reach - (rules.frames - 1) * interval
    if positions < 1:
        return None
    center = reach + int(random.integers(positions))
    targets = [center + number * interval for number in range(rules.frames)]
    if min(survey.sharpness_at(each, scale) for each in targets) < rules.min_sharpness:
        return None
    part = tuple(
        slice(int(start / scale / GRID), max(math.ceil((start + count) / scale / GRID), 1))
        for start, count in ((top, rows), (left, columns))
    )
    middle = targets[len(targets) // 2]
    if survey.brightness[middle][part].std() < rules.min_contrast:
        return None
    blur = BlurLength.of(scale * _paths(survey.speeds, middle, settings.length)[part])
    place = (top, left, rows, columns)
    return Segment(clip, center, rules.frames, settings, gamma, scale, place, blur)


def _paths(speeds: NDArray[np.float16], center: int, length: float) -> NDArray[np.float32]:
    start, end = center - length / 2, center + length / 2
    total = np.zeros(speeds.shape[1:], np.float32)
    for number in range(math.floor(start), math.ceil(end)):
        total += (min(end, number + 1) - max(start, number)) * speeds[number]
    return total


def choose_segments(
    surveys: Mapping[str, Survey],
    rules: SegmentRules,
    lengths_px: Sequence[float],
    random: np.random.Generator,
    *,
    candidates: int = 6000,
) -> list[Segment]:
    """Choose a segment for every wanted blur length, the nearest one, spread over the clips.

    Args:
        surveys: by name of the clip.
        rules: what is drawn.
        lengths_px: the wanted blur lengths; 0 for a segment in which nearly nothing moves.
        random: source of all draws.
        candidates: how many segments are drawn to choose from.
    """
    names = sorted(surveys)
    drawn = (
        draw_segment(name, surveys[name], rules, random)
        for name in (names[number % len(names)] for number in range(candidates))
    )
    moving: list[Segment] = []
    still: list[Segment] = []
    for segment in drawn:
        if segment and segment.blur.moving >= rules.min_moving:
            moving.append(segment)
        elif segment and segment.blur.moving < 0.05:
            still.append(segment)
    uses: Counter[str] = Counter()
    chosen = []
    for wanted in random.permutation(np.asarray(lengths_px, np.float64)):
        pool = moving if wanted > 0 else still
        if not pool:
            continue
        costs = [
            (abs(math.log(each.blur.median / wanted)) if wanted > 0 else 0.0)
            + uses[each.clip] * len(names) / len(lengths_px)
            for each in pool
        ]
        best = pool.pop(int(np.argmin(costs)))
        uses[best.clip] += 1
        chosen.append(best)
    return chosen


@dataclass
class Exposed:
    """A segment with its pixels.

    Attributes:
        segment: what was drawn.
        blurry: (N, 3, H, W) uint8.
        sharp: (N, 3, H, W) uint8, the middles of the exposures.
        blur: measured for every frame.
    """

    segment: Segment
    blurry: NDArray[np.uint8]
    sharp: NDArray[np.uint8]
    blur: list[BlurLength]


@dataclass
class _Collected:
    """Frames of a segment, cut out while the clip is decoded."""

    segment: Segment
    frames: list[NDArray[np.uint8]] = field(default_factory=list)
    offset: tuple[int, int] = (0, 0)

    def add(self, image: NDArray[np.uint8]) -> None:
        """Keep the window and a margin around it."""
        scale, (top, left, rows, columns) = self.segment.scale, self.segment.window
        ends = []
        for start, count, extent in ((top, rows, image.shape[0]), (left, columns, image.shape[1])):
            first = max(math.floor((start - _MARGIN) / scale), 0)
            last = min(math.ceil((start + count + _MARGIN) / scale), extent)
            ends.append((first, last))
        (above, below), (before, behind) = ends
        self.offset = (above, before)
        self.frames.append(image[above:below, before:behind].copy())

    def expose(self, search: DenseInverseSearch) -> Exposed:
        """Synthesize the blurry frames."""
        segment = self.segment
        curve, settings = ResponseCurve.gamma(segment.gamma), segment.settings
        footage = Footage(iter(self.frames), curve, segment.scale, search, settings.highlight_gain)
        blurry, sharp, blur = [], [], []
        for number in range(segment.frames):
            center = segment.reach + number * settings.interval
            footage.advance_to(center - segment.reach, center + segment.reach)
            light, known = expose(footage, center, settings.length)
            blur.append(BlurLength(**known["blur_px"]))
            blurry.append(self._cut(curve.to_values(light)))
            sharp.append(self._cut(footage.still(center).image))
        return Exposed(segment, np.stack(blurry), np.stack(sharp), blur)

    def _cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window, without the margin: (3, H, W)."""
        top, left, rows, columns = self.segment.window
        first = min(round(top - self.offset[0] * self.segment.scale), image.shape[0] - rows)
        before = min(round(left - self.offset[1] * self.segment.scale), image.shape[1] - columns)
        return image[first : first + rows, before : before + columns].transpose(2, 0, 1)


def expose_segments(
    frames: Iterable[NDArray[np.uint8]], segments: Iterable[Segment], search: DenseInverseSearch
) -> Iterator[Exposed]:
    """Synthesize segments of one clip, which is decoded once, in the order in which they end.

    Args:
        frames: of the clip, from the first one.
        segments: of this clip.
        search: estimates the flow between frames.
    """
    waiting = sorted(segments, key=lambda each: each.first)
    active: list[_Collected] = []
    for number, image in enumerate(frames):
        while waiting and waiting[0].first <= number:
            active.append(_Collected(waiting.pop(0)))
        for each in active:
            each.add(image)
        for each in [each for each in active if each.segment.last <= number]:
            active.remove(each)
            yield each.expose(search)
        if not (waiting or active):
            return
