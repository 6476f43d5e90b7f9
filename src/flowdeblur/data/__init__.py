"""From samples to batches: augmentation, sampling, the data module."""

from typing import TYPE_CHECKING, Any

from flowdeblur.data.augmentation import ColourPermutation, Crop, Dihedral, ShrunkCrop, TurnedCrop

if TYPE_CHECKING:
    from flowdeblur.data.datamodule import DataModule

__all__ = [
    "ColourPermutation",
    "Crop",
    "DataModule",
    "Dihedral",
    "ShrunkCrop",
    "TurnedCrop",
]


def __getattr__(name: str) -> Any:
    if name == "DataModule":  # on demand, because it needs Lightning
        from flowdeblur.data.datamodule import DataModule

        return DataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
