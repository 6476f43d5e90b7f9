"""Scores under named protocols, of our networks or of frames that other programs restored."""

from flowdeblur.evaluation.frames import AllFrames, NamedLike, Numbered, WithoutEnds
from flowdeblur.evaluation.pixels import OnLuma, ScaleAndShift, rounded, truncated, unquantized
from flowdeblur.evaluation.protocol import Protocol, mean_of_clips, mean_of_frames

__all__ = [
    "AllFrames",
    "NamedLike",
    "Numbered",
    "OnLuma",
    "Protocol",
    "ScaleAndShift",
    "WithoutEnds",
    "mean_of_clips",
    "mean_of_frames",
    "rounded",
    "truncated",
    "unquantized",
]
