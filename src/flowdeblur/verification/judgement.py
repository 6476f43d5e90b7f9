"""From comparisons of frames to what is wrong with a clip or a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowdeblur.verification.alignment import Comparison
from flowdeblur.verification.findings import Finding, counted, some

# Measured on five clips of REDS: a frame's own sharp version is nearer than its neighbours' by 3 dB
# and more, single shifts reach 1.9 pixels, their medians 0.1, and correlations fall to 0.9.
_DECISIVE_DB = 1.0
_SHIFT_PX = 1.0
_CORRELATION = 0.5
_LEAST_MOTION_PX, _LEAST_FRAMES = 2.0, 3
# Frame intervals: at the start of the exposure it is half the duty cycle, at most 0.5; 1 is the
# sharp version of another frame.
_LEAST_PHASE, _MOST_PHASE = 0.15, 0.75


def judge_clip(
    where: str, comparisons: Sequence[Comparison], phase: float, again: str | None
) -> list[Finding]:
    """Report whether blurry and sharp frames show the same moments, the same scene and place.

    Args:
        where: the clip.
        comparisons: of all its frames.
        phase: of its sharp frames, from :func:`phase_of_sharp_frames`. If they were taken near
            an end of the exposure, a frame is as near to its neighbour's as to its own.
        again: how to get published files again.
    """
    if phase:
        before, after = [], []
    else:
        before = [each.frame for each in comparisons if _nearer(each, each.before, each.after)]
        after = [each.frame for each in comparisons if _nearer(each, each.after, each.before)]
    inner = sum(each.before is not None and each.after is not None for each in comparisons)
    for frames, word, remedy, step in (
        (before, "before", "lower", -1),
        (after, "after", "raise", 1),
    ):
        if len(frames) > max(1, inner / 2) and _lies_at_neighbour(comparisons, step):
            return [
                Finding(
                    where,
                    f"blurry and sharp frames are one frame apart: {len(frames)} of "
                    f"{counted(len(comparisons), 'frame')} match the sharp frame {word} their own",
                    again or f"{remedy} the numbers of the blurry frames by one",
                )
            ]
    findings = []
    foreign = [each.frame for each in comparisons if each.correlation < _CORRELATION]
    if foreign:
        findings.append(
            Finding(
                where,
                f"{counted(len(foreign), 'frame')} unlike the sharp version "
                f"(correlation below {_CORRELATION}): {some(foreign)}",
                again or "look whether the sharp version is another image's",
            )
        )
    displacement = _displacement(where, comparisons, phase, again)
    exchanged = sorted({*before, *after}.difference(foreign))
    if exchanged and not displacement:  # which would make them look exchanged
        findings.append(
            Finding(
                where,
                f"{counted(len(exchanged), 'frame')} nearer to a neighbour's sharp version than to "
                f"the own: {some(exchanged)}",
                again or "look whether files there were exchanged",
            )
        )
    return findings + displacement


def phase_of_sharp_frames(comparisons: Sequence[Comparison]) -> float:
    """Estimate when, relative to the middle of the exposure, sharp frames were taken.

    A blurry frame shows the scene where it is in the middle of its exposure. So its shift from the
    sharp frame is the motion times the time between the two.

    Returns:
        How long before the middle of the exposure, in frame intervals. 0 where that is next to
        nothing, too little moves, or the motion does not explain the shifts.
    """
    moving = [
        (each.shift, each.motion)
        for each in comparisons
        if each.motion is not None and np.hypot(*each.motion) >= _LEAST_MOTION_PX
    ]
    if len(moving) < _LEAST_FRAMES:
        return 0.0
    shift, motion = (np.array(each) for each in zip(*moving, strict=True))
    # Of each frame, as a median: objects that move by themselves and failed estimates stand apart.
    phase = float(np.median((shift * motion).sum(axis=1) / (motion * motion).sum(axis=1)))
    unexplained, total = (
        float(np.median(np.linalg.norm(each, axis=1))) for each in (shift - phase * motion, shift)
    )
    if not _LEAST_PHASE < abs(phase) < _MOST_PHASE or unexplained > total / 2:
        return 0.0
    return phase


def phase_finding(where: str, phase: float) -> list[Finding]:
    """Report sharp frames that were not taken in the middle of the exposure."""
    if not phase:
        return []
    return [
        Finding(
            where,
            f"the sharp frames show the scene {abs(phase):.2f} of a frame interval "
            f"{'before' if phase > 0 else 'after'} the middle of the exposure",
            "take the sharp frames from the middle of the exposure: a network trained on these "
            "moves what it restores",
        )
    ]


def _displacement(
    where: str, comparisons: Sequence[Comparison], phase: float, again: str | None
) -> list[Finding]:
    if len(comparisons) < _LEAST_FRAMES:
        return []
    shifts = [
        np.subtract(each.shift, np.multiply(phase, each.motion or (0.0, 0.0)))
        for each in comparisons
    ]
    dx, dy = np.median(shifts, axis=0)
    if np.hypot(dx, dy) < _SHIFT_PX:
        return []
    return [
        Finding(
            where,
            f"blurry frames are displaced from their sharp versions by ({dx:+.1f}, {dy:+.1f}) "
            "pixels (right, down)",
            again or "cut both to the part that they share, so that they cover each other",
        )
    ]


def _lies_at_neighbour(comparisons: Sequence[Comparison], step: int) -> bool:
    """Whether blurry frames are displaced by the motion to a neighbour, and not otherwise."""
    pairs = [
        (one.shift, other.motion)
        for one, other in zip(comparisons[step < 0 :], comparisons, strict=False)
        if other.motion is not None
    ]
    shift, motion = (np.array(each) for each in zip(*pairs, strict=True))
    left, total = (np.linalg.norm(each, axis=1) for each in (shift - step * motion, shift))
    return bool(np.median(left) < np.median(total) / 2)


def _nearer(comparison: Comparison, one: float | None, other: float | None) -> bool:
    """Whether a neighbour's sharp version is decisively the nearest."""
    if one is None:
        return False
    return one > max(comparison.own + _DECISIVE_DB, other if other is not None else -np.inf)
