"""Restoring a clip frame by frame, with no more frames in memory than the network reads."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from flowdeblur.data.neighbours import neighbour
from flowdeblur.errors import Failure
from flowdeblur.pictures import Picture
from flowdeblur.video.clip import Frame, in_words

_log = logging.getLogger(__name__)


class Window(NamedTuple):
    """A frame to restore and those that a network reads for it, in the order of its offsets."""

    current: Frame
    frames: tuple[Frame, ...]


def restore(
    network: nn.Module, frames: Iterable[Frame], *, device: torch.device | None = None
) -> Iterator[Frame]:
    """Restore every frame of a clip, the first and last included.

    Args:
        network: reads the frames at ``network.frame_offsets``, relative to the one to restore, as
            (1, T, 3, H, W) in [0, 1], and returns a named tuple with ``restored`` (1, 3, H, W). It
            is moved to ``device`` and put into evaluation mode.
        frames: the clip in order, frames of one size.
        device: where to compute; the GPU if there is one, else the CPU.

    Yields:
        The frames with restored images, rounded to the depth of their input.

    Raises:
        Failure: the network's output is not finite, or the device's memory does not suffice.
    """
    device = device or automatic_device()
    network = network.to(device).eval()
    for current, neighbours in windows(frames, cast("tuple[int, ...]", network.frame_offsets)):
        images = [frame.image for frame in neighbours]
        try:
            image = _restore_image(network, images, current.image, device)
        except torch.OutOfMemoryError:
            size = in_words(current.image.shape)
            raise Failure(
                f"{device} has too little memory for {size} frames; use the CPU"
            ) from None
        yield replace(current, image=image)


def automatic_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def windows(frames: Iterable[Frame], offsets: Sequence[int]) -> Iterator[Window]:
    """Pair each frame with its neighbours, holding no frame that the offsets do not reach.

    Args:
        frames: the clip in order.
        offsets: of the wanted frames, relative to the current one.

    Yields:
        One window a frame; beyond the ends of the clip
            :func:`~flowdeblur.data.neighbours.neighbour` chooses.
    """
    source = iter(frames)
    reach = max(map(abs, offsets))
    held: dict[int, Frame] = {}
    read, ended = 0, False
    for index in itertools.count():
        while not ended and read <= index + reach:
            frame = next(source, None)
            if frame is None:
                ended = True
            else:
                held[read] = frame
                read += 1
        if index == read:
            return
        if read == 1 and any(offsets):
            _log.warning("a single frame: without a second one the network sees no motion")
        # Before the end is seen, every frame in reach is there, so that `read` limits nothing.
        frames_read = tuple(held[neighbour(index, offset, read)] for offset in offsets)
        yield Window(held[index], frames_read)
        held.pop(index - reach, None)


@torch.inference_mode()
def _restore_image(
    network: nn.Module, images: Sequence[Picture], like: Picture, device: torch.device
) -> Picture:
    frames = torch.stack([_to_tensor(image, device) for image in images])
    restored: Tensor = network(frames[None], keep_rnn_weights=False).restored[0]
    if not restored.isfinite().all():
        raise Failure("the network's output is not finite; its weights are damaged")
    scaled = restored.clamp(0, 1).mul_(np.iinfo(like.dtype).max).round_()
    depth = torch.uint8 if like.dtype == np.uint8 else torch.uint16
    image: Picture = scaled.to(depth).permute(1, 2, 0).cpu().contiguous().numpy()
    return image


def _to_tensor(image: Picture, device: torch.device) -> Tensor:
    channels_first = torch.from_numpy(image).to(device).permute(2, 0, 1).contiguous()
    return channels_first.float().div_(np.iinfo(image.dtype).max)
