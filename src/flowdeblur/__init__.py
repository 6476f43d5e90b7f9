"""Deep dynamic scene deblurring from optical flow.

``net = flowdeblur.load(path)`` and ``net(frames)`` restore a frame; ``flowdeblur.ops`` holds the
spatially variant RNN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from flowdeblur.weights import load


def __getattr__(name: str) -> Any:
    if name == "load":  # imported on demand, so that the commands' help needs no torch
        from flowdeblur.weights import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
