"""Where samples come from, and how they become batches."""

from flowdeblur.data.augmentation import ColourPermutation, Crop, Dihedral, ShrunkCrop, TurnedCrop
from flowdeblur.data.datamodule import DataModule
from flowdeblur.data.folders import FrameFolders
from flowdeblur.data.mixture import Mixture
from flowdeblur.data.official import BSD, DVD, HIDE, REDS, GoPro, RealBlur
from flowdeblur.data.packed import PackedFrames
from flowdeblur.data.scenes import Scenes

__all__ = [
    "BSD",
    "DVD",
    "HIDE",
    "REDS",
    "ColourPermutation",
    "Crop",
    "DataModule",
    "Dihedral",
    "FrameFolders",
    "GoPro",
    "Mixture",
    "PackedFrames",
    "RealBlur",
    "Scenes",
    "ShrunkCrop",
    "TurnedCrop",
]
