"""Data sets of the field in the layout, and with the splits, that their authors published."""

from flowdeblur.datasets.official.bsd import BSD
from flowdeblur.datasets.official.dvd import DVD
from flowdeblur.datasets.official.gopro import GoPro
from flowdeblur.datasets.official.reds import REDS
from flowdeblur.datasets.official.single_images import HIDE, RealBlur

__all__ = ["BSD", "DVD", "HIDE", "REDS", "GoPro", "RealBlur"]
