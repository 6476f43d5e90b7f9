"""Frames of a clip with the neighbours that a network reads, and as tensors."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from flowdeblur.neighbours import neighbour
from flowdeblur.video.clip import Frame
from flowdeblur.video.images import ImageArray
from flowdeblur.video.shots import Shots

_log = logging.getLogger(__name__)


class Window(NamedTuple):
    """A frame to restore and those that a network reads for it, in the order of its offsets."""

    current: Frame
    frames: tuple[Frame, ...]


def windows(
    frames: Iterable[Frame], offsets: Sequence[int], *, cuts: bool = True
) -> Iterator[Window]:
    """Pair each frame with its neighbours; holds no frame that the offsets do not reach.

    Args:
        frames: the clip in order.
        offsets: of the wanted frames, relative to the current one.
        cuts: whether neighbours come from the frame's own shot only.

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


def to_tensor(frame: Frame, device: torch.device) -> Tensor:
    """Put a frame on a device, as (3, H, W) float32; integers are scaled to [0, 1]."""
    image = torch.from_numpy(frame.image).to(device).permute(2, 0, 1).contiguous()
    if image.is_floating_point():
        return image.float()
    return image.float() / np.iinfo(frame.image.dtype).max


def to_window_tensor(window: Window, device: torch.device) -> Tensor:
    """Put a window's frames on a device, as (1, T, 3, H, W) in [0, 1]."""
    return torch.stack([to_tensor(each, device).clamp(0, 1) for each in window.frames])[None]


def to_image(tensor: Tensor, dtype: np.dtype[np.uint8 | np.uint16]) -> ImageArray:
    """Turn (3, H, W) into an image (H, W, 3); integers are rounded and clamped."""
    if np.issubdtype(dtype, np.floating):
        return cast(ImageArray, tensor.permute(1, 2, 0).contiguous().cpu().numpy().astype(dtype))
    scaled = tensor.clamp(0, 1).mul(np.iinfo(dtype).max).round_()
    depth = torch.uint8 if dtype == np.uint8 else torch.uint16
    image: ImageArray = scaled.to(depth).permute(1, 2, 0).contiguous().cpu().numpy()
    return image


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
