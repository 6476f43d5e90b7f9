"""Blur from sharp video: frames are averaged over the exposure, in linear light."""

from flowdeblur.synthesis.recipe import Recipe
from flowdeblur.synthesis.source import Videos

__all__ = ["Recipe", "Videos"]
