"""Weights files: write, read, rebuild the network; imports from and exports to other formats."""

from flowdeblur.weights.file import (
    DEFAULT,
    PRETRAINED,
    annotate,
    copy,
    describe,
    load,
    load_into,
    locate,
    read,
    save,
)
from flowdeblur.weights.rebuild import build

__all__ = [
    "DEFAULT",
    "PRETRAINED",
    "annotate",
    "build",
    "copy",
    "describe",
    "load",
    "load_into",
    "locate",
    "read",
    "save",
]
