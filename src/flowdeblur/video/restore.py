"""Restoring a clip frame by frame, with no more frames in memory than the network reads."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import torch

from flowdeblur.blur.estimate import estimate_blur
from flowdeblur.devices import automatic_device
from flowdeblur.networks.inference import infer, prepare
from flowdeblur.types import Network
from flowdeblur.video.clip import Frame
from flowdeblur.video.controls import Controls
from flowdeblur.video.images import ImageArray
from flowdeblur.video.windows import Window, to_image, to_tensor, to_window_tensor, windows

_DEFAULT = Controls()


class Result(NamedTuple):
    """A frame before and after.

    Attributes:
        before: the frame as it came.
        after: the restored frame; ``before`` itself where the frame passes through.
        blur: estimated length of the blur in pixels; None where it is not needed.
    """

    before: Frame
    after: Frame
    blur: float | None = None

    @property
    def restored(self) -> bool:
        """Whether the network ran on this frame."""
        return self.after is not self.before


def restore_frames(
    network: Network,
    frames: Iterable[Frame],
    *,
    controls: Controls = _DEFAULT,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    tile: int | None = None,
    batch: int = 1,
    done: Collection[str] = (),
) -> Iterator[Result]:
    """Restore every frame of a clip, the first and last included.

    Args:
        network: is moved to ``device`` and put into evaluation mode.
        frames: the clip in order, frames of one size. Damaged ones pass through.
        controls: what the user chose.
        device: where to compute; the GPU if there is one, else the CPU.
        dtype: see :func:`flowdeblur.networks.inference.infer`.
        tile: see there.
        batch: how many frames are restored at a time.
        done: names of frames to leave out.

    Yields:
        The frames with restored images, rounded to the depth of their input.

    Raises:
        RuntimeFailureError: the network's output is not finite, or the device's memory does not
            suffice.
    """
    device = device or automatic_device()
    numbered = enumerate(windows(frames, network.frame_offsets, cuts=controls.cuts))
    first = next(numbered, None)
    if first is None:
        return
    wanted = (
        (index, window)
        for index, window in itertools.chain([first], numbered)
        if window.current.name not in done
    )
    yield from restore_windows(
        *(network, wanted),
        controls=controls,
        device=device,
        dtype=dtype,
        tile=tile,
        batch=batch,
        start=first[1].current.time,
    )


def restore_windows(
    network: Network,
    wanted: Iterator[tuple[int, Window]],
    *,
    controls: Controls,
    device: torch.device,
    dtype: torch.dtype,
    tile: int | None = None,
    batch: int = 1,
    start: Fraction = Fraction(0),
) -> Iterator[Result]:
    """Restore numbered frames with their neighbours; arguments as of :func:`restore_frames`.

    ``start`` is the time of the clip's first frame, which ranges in seconds count from.
    """
    network = prepare(network, device)
    while group := list(itertools.islice(wanted, batch)):
        blurs = [_blur(window.current, controls, device) for _, window in group]
        wanted_now = [
            _is_wanted(index, window.current, blur, controls, start)
            for (index, window), blur in zip(group, blurs, strict=True)
        ]
        chosen = [window for (_, window), each in zip(group, wanted_now, strict=True) if each]
        images = iter(_restore_images(network, chosen, controls, device, dtype, tile))
        for (_, (current, _)), blur, each in zip(group, blurs, wanted_now, strict=True):
            yield Result(current, replace(current, image=next(images)) if each else current, blur)


def _blur(frame: Frame, controls: Controls, device: torch.device) -> float | None:
    if frame.damaged or (controls.only_blurry is None and not controls.measure_blur):
        return None
    return float(estimate_blur(to_tensor(frame, device)[None].clamp(0, 1)))


def _is_wanted(
    index: int, frame: Frame, blur: float | None, controls: Controls, start: Fraction
) -> bool:
    if frame.damaged or controls.strength == 0:
        return False
    if controls.range is not None and not controls.range.covers(index, frame.time - start):
        return False
    return controls.only_blurry is None or blur is None or blur >= controls.only_blurry


def _restore_images(
    network: Network,
    chosen: list[Window],
    controls: Controls,
    device: torch.device,
    dtype: torch.dtype,
    tile: int | None,
) -> list[ImageArray]:
    if not chosen:
        return []
    frames = torch.cat([to_window_tensor(window, device) for window in chosen])
    output = infer(
        *(network, frames),
        dtype=dtype,
        tile=tile,
        scale=controls.scale,
        ensemble=controls.ensemble,
    ).restored
    return [
        to_image(
            controls.finish(to_tensor(window.current, device), image), window.current.image.dtype
        )
        for window, image in zip(chosen, output, strict=True)
    ]
