"""Smooth rigid motion with zoom, as a function of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pose = tuple[float, float, float, float]
"""(x in pixels to the right, y in pixels down, angle in radians, logarithm of the zoom)."""

STILL: Pose = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Motion:
    """The pose p(t) = start + velocity t + acceleration t^2 / 2 of a layer or of the camera.

    Time is counted in frame intervals from the middle of the exposure of frame 0, so that frame k
    is exposed around t = k. A parabola is enough: hand shake stays below 10 Hz, a fraction of a
    period within the frames of a sample.

    Attributes:
        start: the pose at t = 0.
        velocity: per frame interval.
        acceleration: per frame interval squared.
    """

    start: Pose = STILL
    velocity: Pose = STILL
    acceleration: Pose = STILL

    def matrices(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the homogeneous similarity transforms at ``times`` (N,), shape (N, 3, 3).

        They map a point of the moving object, (x, y) in pixels from its center, to the point where
        it is seen.
        """
        t = times[:, None]
        pose = np.add(self.start, t * np.array(self.velocity) + t**2 / 2 * self.acceleration)
        x, y, angle, log_zoom = pose.T
        cosine, sine = np.exp(log_zoom) * np.cos(angle), np.exp(log_zoom) * np.sin(angle)
        zero, one = np.zeros_like(x), np.ones_like(x)
        rows = [[cosine, -sine, x], [sine, cosine, y], [zero, zero, one]]
        return np.moveaxis(np.array(rows), -1, 0)


def draw_motion(
    random: np.random.Generator, speed_px: float, reach_px: float, start: Pose = STILL
) -> Motion:
    """Draw a motion whose fastest point moves by about ``speed_px`` per frame interval at t = 0.

    Three quarters of the speed, in the mean, go into translation, the rest into rotation and zoom.
    The acceleration has a direction of its own, so that trails bend, and changes the velocity by at
    most a third in a frame interval.

    Args:
        random: source of randomness.
        speed_px: displacement per frame interval, pixels.
        reach_px: distance from the center of the farthest point, pixels.
        start: the pose at t = 0.
    """
    share = random.dirichlet((6.0, 1.0, 1.0))

    def rates(speed_px: float) -> Pose:
        direction = random.uniform(0, 2 * np.pi)
        turn, growth = random.choice((-1.0, 1.0), 2) * share[1:] * speed_px / reach_px
        x, y = share[0] * speed_px * np.array((np.cos(direction), np.sin(direction)))
        return (x, y, turn, growth)

    return Motion(start, rates(speed_px), rates(speed_px * random.uniform(0, 1 / 3)))
