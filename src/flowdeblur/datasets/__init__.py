"""Sources of samples: folders, published data sets, packed files and mixtures of them."""

from flowdeblur.datasets.folders import FrameFolders
from flowdeblur.datasets.mixture import Mixture
from flowdeblur.datasets.official import BSD, DVD, HIDE, REDS, GoPro, RealBlur
from flowdeblur.datasets.packed import PackedFrames

__all__ = [
    "BSD",
    "DVD",
    "HIDE",
    "REDS",
    "FrameFolders",
    "GoPro",
    "Mixture",
    "PackedFrames",
    "RealBlur",
]
