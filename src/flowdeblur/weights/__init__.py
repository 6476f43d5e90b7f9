"""Weights files: write, read, rebuild the network; imports from and exports to other formats."""

from flowdeblur.weights.file import (
    DEFAULT,
    PRETRAINED,
    annotate,
    build,
    copy,
    describe,
    load,
    locate,
    read,
    save,
    take,
)

__all__ = [
    "DEFAULT",
    "PRETRAINED",
    "annotate",
    "build",
    "copy",
    "describe",
    "load",
    "locate",
    "read",
    "save",
    "take",
]
