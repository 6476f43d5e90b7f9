"""Blur from sharp video: linear light is averaged over the exposure."""

from flowdeblur.synthesis.recipe import Recipe
from flowdeblur.synthesis.source import Videos

__all__ = ["Recipe", "Videos"]
