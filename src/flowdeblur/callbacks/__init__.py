"""What happens around training: history, pictures, messages."""

from flowdeblur.callbacks.history import History
from flowdeblur.callbacks.messages import Messages
from flowdeblur.callbacks.pictures import Pictures
from flowdeblur.callbacks.progress import ProgressBar

__all__ = ["History", "Messages", "Pictures", "ProgressBar"]
