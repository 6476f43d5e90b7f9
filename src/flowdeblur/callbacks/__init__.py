"""What happens around training: history, time, pictures, messages, speed, interruptions."""

from flowdeblur.callbacks.agreement import Agreement
from flowdeblur.callbacks.channels_last import ChannelsLast
from flowdeblur.callbacks.checkpoints import Checkpoints, CountedAnew
from flowdeblur.callbacks.clock import Clock
from flowdeblur.callbacks.history import History
from flowdeblur.callbacks.interruption import Interrupted, Interruption
from flowdeblur.callbacks.messages import Messages
from flowdeblur.callbacks.performance import Performance
from flowdeblur.callbacks.pictures import Pictures
from flowdeblur.callbacks.progress import ProgressBar

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
