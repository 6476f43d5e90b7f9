"""Frames without compression in few files, of which a patch is read without the rest."""

from flowdeblur.data.packed.source import PackedFrames
from flowdeblur.data.packed.writing import pack

__all__ = ["PackedFrames", "pack"]
