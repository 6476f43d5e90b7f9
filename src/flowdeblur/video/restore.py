"""Restoring a clip frame by frame, with no more frames in memory than the network reads."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from flowdeblur.devices import automatic_device
from flowdeblur.errors import RuntimeFailureError
from flowdeblur.neighbours import neighbour
from flowdeblur.types import Network
from flowdeblur.video.clip import Frame, in_words
from flowdeblur.video.images import ImageArray
from flowdeblur.video.shots import Shots

_CPU_IS_FULL = "DefaultCPUAllocator"  # part of the only message that has no type of its own

_log = logging.getLogger(__name__)


class Window(NamedTuple):
    """A frame to restore and those that a network reads for it, in the order of its offsets."""

    current: Frame
    frames: tuple[Frame, ...]


def restore(
    network: Network,
    frames: Iterable[Frame],
    *,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    batch: int = 1,
    cuts: bool = True,
    done: Collection[str] = (),
) -> Iterator[Frame]:
    """Restore every frame of a clip, the first and last included.

    Args:
        network: reads the frames at ``network.frame_offsets``, relative to the one to restore, as
            (B, T, 3, H, W) in [0, 1], and returns a named tuple with ``restored`` (B, 3, H, W). It
            is moved to ``device`` and put into evaluation mode.
        frames: the clip in order, frames of one size. Damaged ones pass through.
        device: where to compute; the GPU if there is one, else the CPU.
        dtype: of convolutions; below float32 by autocast.
        batch: how many frames are restored at a time.
        cuts: whether shots are told apart, so that no frame is restored with one of another shot.
        done: names of frames to leave out.

    Yields:
        The frames with restored images, rounded to the depth of their input.

    Raises:
        RuntimeFailureError: the network's output is not finite, or the device's memory does not
            suffice.
    """
    device = device or automatic_device()
    network = network.to(device).eval()
    offsets = network.frame_offsets
    wanted = (each for each in windows(frames, offsets, cuts=cuts) if each.current.name not in done)
    while group := list(itertools.islice(wanted, batch)):
        whole = [window for window in group if not window.current.damaged]
        images = iter(_restore_images(network, whole, device, dtype))
        for current, _ in group:
            yield current if current.damaged else replace(current, image=next(images))


def windows(
    frames: Iterable[Frame], offsets: Sequence[int], *, cuts: bool = True
) -> Iterator[Window]:
    """Pair each frame with its neighbours, holding no frame that the offsets do not reach.

    Args:
        frames: the clip in order.
        offsets: of the wanted frames, relative to the current one.
        cuts: whether neighbours are looked for in the frame's own shot only.

    Yields:
        One window a frame; beyond the ends of the clip, or of the shot,
            :func:`~flowdeblur.neighbours.neighbour` chooses.
    """
    count = 0
    for _, shot in itertools.groupby(frames, Shots(cuts=cuts)):
        for window in _windows(shot, offsets):
            count += 1
            yield window
    if count == 1 and any(offsets):
        _log.warning("a single frame: without a second one the network sees no motion")


def to_tensor(window: Window, device: torch.device) -> Tensor:
    """Put a window's frames on a device, as (1, T, 3, H, W) in [0, 1]."""
    images = [
        torch.from_numpy(frame.image).to(device).permute(2, 0, 1).contiguous().float()
        / np.iinfo(frame.image.dtype).max
        for frame in window.frames
    ]
    return torch.stack(images)[None]


def _windows(shot: Iterator[Frame], offsets: Sequence[int]) -> Iterator[Window]:
    reach = max(map(abs, offsets))
    held: dict[int, Frame] = {}
    read, ended = 0, False
    for index in itertools.count():
        while not ended and read <= index + reach:
            frame = next(shot, None)
            if frame is None:
                ended = True
            else:
                held[read] = frame
                read += 1
        if index == read:
            return
        # Before the end is seen, every frame in reach is there, so that `read` limits nothing.
        frames_read = tuple(held[neighbour(index, offset, read)] for offset in offsets)
        yield Window(held[index], frames_read)
        held.pop(index - reach, None)


@torch.inference_mode()
def _restore_images(
    network: Network, windows: Sequence[Window], device: torch.device, dtype: torch.dtype
) -> list[ImageArray]:
    if not windows:
        return []
    try:
        frames = torch.cat([to_tensor(window, device) for window in windows])
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            restored = network(frames, keep_rnn_weights=False).restored
        pairs = zip(windows, restored.float(), strict=True)
        return [_to_picture(image, window.current.image.dtype) for window, image in pairs]
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _CPU_IS_FULL not in str(error):
            raise
        size = in_words(windows[0].current.image.shape)
        raise RuntimeFailureError(
            f"{device} has too little memory for {size} frames; pass a smaller --tile or --batch, "
            "or --device cpu"
        ) from None


def _to_picture(image: Tensor, dtype: np.dtype[np.uint8 | np.uint16]) -> ImageArray:
    if not image.isfinite().all():
        raise RuntimeFailureError("the network's output is not finite; its weights are damaged")
    scaled = image.clamp(0, 1).mul_(np.iinfo(dtype).max).round_()
    depth = torch.uint8 if dtype == np.uint8 else torch.uint16
    picture: ImageArray = scaled.to(depth).permute(1, 2, 0).contiguous().cpu().numpy()
    return picture
