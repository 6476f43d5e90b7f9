"""Sharp frames of videos, as textures of rendered scenes: many more images than photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowdeblur.extras import import_extra
from flowdeblur.synthesis.inputs import SharpClip
from flowdeblur.synthesis.survey import Survey
from flowdeblur.video.images import write_image

PER_CLIP = 14
_LONGEST = 1400
"""Longer side of a still, in pixels; textures are shrunk further when they are drawn."""


def sharpest_frames(survey: Survey, count: int = PER_CLIP) -> list[int]:
    """Choose the sharpest frame of each of ``count`` equal parts of a clip, in order."""
    parts = np.array_split(np.arange(len(survey.sharpness)), count)
    return [max(part.tolist(), key=lambda n: survey.sharpness[n, 0]) for part in parts if len(part)]


def write_stills(clip: SharpClip, survey: Survey, folder: Path) -> None:
    """Write the sharpest frames of a clip as ``folder/CLIP-FRAME.png``; existing files stay.

    Raises:
        UserError: a frame is damaged, or OpenCV is missing.
    """
    cv2 = import_extra("cv2", "synthesis")
    paths = {number: folder / f"{clip.name}-{number:05d}.png" for number in sharpest_frames(survey)}
    missing = {number for number, path in paths.items() if not path.exists()}
    if not missing:
        return
    for number, image in enumerate(clip.frames()):
        if number in missing:
            scale = min(1.0, _LONGEST / max(image.shape))
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            write_image(paths[number], small)
