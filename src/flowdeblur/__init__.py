"""Deep dynamic scene deblurring from optical flow.

``flowdeblur.deblur("shaky.mp4", "sharp.mp4")`` restores a video, ``flowdeblur.restore(frames,
network)`` frames of a program of your own; ``network = flowdeblur.load()`` and ``network(frames)``
restore a single frame. ``flowdeblur.ops`` holds the spatially variant RNN.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "deblur", "load", "restore"]

if TYPE_CHECKING:
    from flowdeblur.video.deblur import deblur, restore
    from flowdeblur.weights import load

_HOMES = {"deblur": "video.deblur", "load": "weights", "restore": "video.deblur"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:  # imported on demand, so that the commands' help needs no torch
        return getattr(importlib.import_module(f"flowdeblur.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
