"""Lightning callbacks: checkpoints, time limit, history, layer health, images, messages, speed."""

from flowdeblur.training.callbacks.channels_last import ChannelsLast
from flowdeblur.training.callbacks.checkpoints import Checkpoints, ResumeBatchCounter
from flowdeblur.training.callbacks.clock import Clock
from flowdeblur.training.callbacks.compile import Compile
from flowdeblur.training.callbacks.graceful_shutdown import GracefulShutdown, InterruptedRunError
from flowdeblur.training.callbacks.history import History
from flowdeblur.training.callbacks.image_panels import ImagePanels
from flowdeblur.training.callbacks.layer_health import LayerHealth
from flowdeblur.training.callbacks.messages import Messages
from flowdeblur.training.callbacks.performance import Performance
from flowdeblur.training.callbacks.progress import ProgressBar
from flowdeblur.training.callbacks.progress_file import ProgressFile
from flowdeblur.training.callbacks.same_step import CheckSameStep

__all__ = [
    "ChannelsLast",
    "CheckSameStep",
    "Checkpoints",
    "Clock",
    "Compile",
    "GracefulShutdown",
    "History",
    "ImagePanels",
    "InterruptedRunError",
    "LayerHealth",
    "Messages",
    "Performance",
    "ProgressBar",
    "ProgressFile",
    "ResumeBatchCounter",
]
