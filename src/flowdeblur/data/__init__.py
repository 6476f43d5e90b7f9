"""Where samples come from, and how they become batches."""

from flowdeblur.data.augmentation import ColourPermutation, Crop, Dihedral, TurnedCrop
from flowdeblur.data.datamodule import DataModule
from flowdeblur.data.folders import FrameFolders
from flowdeblur.data.scenes import Scenes

__all__ = [
    "ColourPermutation",
    "Crop",
    "DataModule",
    "Dihedral",
    "FrameFolders",
    "Scenes",
    "TurnedCrop",
]
