"""Dynamic scenes with real blur and true flow, rendered from photographs and random textures."""

from flowdeblur.scenes.source import Scenes

__all__ = ["Scenes"]
