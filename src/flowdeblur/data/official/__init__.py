"""Data sets of the field in the layout, and with the splits, that their authors published."""

from flowdeblur.data.official.bsd import BSD
from flowdeblur.data.official.dvd import DVD
from flowdeblur.data.official.gopro import GoPro
from flowdeblur.data.official.pictures import HIDE, RealBlur
from flowdeblur.data.official.reds import REDS

__all__ = ["BSD", "DVD", "HIDE", "REDS", "GoPro", "RealBlur"]
