"""Frames without compression in few files, of which a patch is read without the rest."""

from flowdeblur.datasets.packed.source import PackedFrames
from flowdeblur.datasets.packed.writing import pack

__all__ = ["PackedFrames", "pack"]
