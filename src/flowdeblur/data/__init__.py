"""From samples to batches: augmentation, degradation, sampling, the data module."""

import importlib
from typing import TYPE_CHECKING, Any

from flowdeblur.data.augmentation import ColorPermutation, Crop, Dihedral, ShrunkCrop, TurnedCrop

if TYPE_CHECKING:
    from flowdeblur.data.datamodule import DataModule
    from flowdeblur.data.degradation import CameraDegradation, SoftFocus

ColourPermutation = ColorPermutation
"""The name in the configurations of older runs."""

_ON_DEMAND = {  # because they need Lightning, or kornia
    "DataModule": "flowdeblur.data.datamodule",
    "CameraDegradation": "flowdeblur.data.degradation",
    "SoftFocus": "flowdeblur.data.degradation",
}

__all__ = [
    "CameraDegradation",
    "ColorPermutation",
    "ColourPermutation",
    "Crop",
    "DataModule",
    "Dihedral",
    "ShrunkCrop",
    "SoftFocus",
    "TurnedCrop",
]


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(importlib.import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
