"""How samples become batches: augmentation, sampling, the data module."""

from flowdeblur.data.augmentation import ColourPermutation, Crop, Dihedral, ShrunkCrop, TurnedCrop
from flowdeblur.data.datamodule import DataModule

__all__ = [
    "ColourPermutation",
    "Crop",
    "DataModule",
    "Dihedral",
    "ShrunkCrop",
    "TurnedCrop",
]
