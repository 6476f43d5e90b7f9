"""What happens around training: history, time, pictures, messages, speed, interruptions."""

from flowdeblur.training.callbacks.agreement import Agreement
from flowdeblur.training.callbacks.channels_last import ChannelsLast
from flowdeblur.training.callbacks.checkpoints import Checkpoints, CountedAnew
from flowdeblur.training.callbacks.clock import Clock
from flowdeblur.training.callbacks.history import History
from flowdeblur.training.callbacks.interruption import Interrupted, Interruption
from flowdeblur.training.callbacks.messages import Messages
from flowdeblur.training.callbacks.performance import Performance
from flowdeblur.training.callbacks.pictures import Pictures
from flowdeblur.training.callbacks.progress import ProgressBar

__all__ = [
    "Agreement",
    "ChannelsLast",
    "Checkpoints",
    "Clock",
    "CountedAnew",
    "History",
    "Interrupted",
    "Interruption",
    "Messages",
    "Performance",
    "Pictures",
    "ProgressBar",
]
