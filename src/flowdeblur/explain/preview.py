"""A preview of a restoration: a few frames spread over the clip, on a page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from flowdeblur.devices import find_device
from flowdeblur.errors import UserError
from flowdeblur.explain import MAX_PREVIEW
from flowdeblur.explain.figures import Figure, FramePage
from flowdeblur.explain.page import page
from flowdeblur.files import filling
from flowdeblur.networks.inference import prepare
from flowdeblur.types import Network
from flowdeblur.video.clip import FrameReader
from flowdeblur.video.controls import FrameNumbers, FrameRange
from flowdeblur.video.images import ImageArray, write_image
from flowdeblur.video.memory import bytes_per_pixel, portion
from flowdeblur.video.progress import duration
from flowdeblur.video.restore import Result, restore_frames
from flowdeblur.video.settings import Settings
from flowdeblur.viz.drawing import Drawn, draw_difference

_INTRODUCTION = (
    "Drag across a frame to compare input and restored frame. These frames are spread over the "
    "clip; nothing else was restored."
)


@dataclass(frozen=True, slots=True)
class Preview:
    """Estimates for the whole clip, from a preview.

    Attributes:
        frames: number of frames on the page.
        total: number of frames of the clip, possibly an estimate; None if unknown.
        seconds_per_frame: mean time of restoring one of them.
    """

    frames: int
    total: int | None
    seconds_per_frame: float

    def in_words(self) -> list[str]:
        """Say what was previewed, then how long the whole clip would take, if that is known."""
        of = f" of {self.total}" if self.total else ""
        lines = [f"previewed {self.frames}{of} frames at {self.seconds_per_frame:.2f} s a frame"]
        if self.total:
            whole = duration(self.seconds_per_frame * self.total)
            lines.append(f"the whole clip would take about {whole}")
        return lines


def check_count(count: int) -> None:
    """Check the number of frames of a preview.

    Raises:
        UserError: it is out of range.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_PREVIEW:
        raise UserError(f"--preview {count}: must be a whole number from 1 to {MAX_PREVIEW}")


def write_preview(
    network: Network, reader: FrameReader, folder: Path, count: int, settings: Settings
) -> Preview:
    """Restore some frames and write them as images and as a page to compare them.

    Args:
        network: is moved to the device and put into evaluation mode.
        reader: the clip.
        folder: written atomically: ``index.html``, ``FRAME_input.png`` and ``FRAME_restored.png``.
        count: number of frames, spread evenly over the clip or the chosen range; a shorter one has
            fewer.
        settings: what the user chose.

    Raises:
        UserError: the range reaches beyond the clip, or contains no frame of it.
    """
    device = find_device(settings.device)
    network = prepare(network, device)
    tile, _ = portion(reader.size, device, tile=settings.tile, pixel_bytes=bytes_per_pixel(network))
    total = reader.count or reader.expected or sum(1 for _ in reader)
    numbers = _spread(total, count, reader, settings.range)
    parts: list[FramePage] = []
    with filling(folder) as partial:
        start, seconds = time.perf_counter(), 0.0
        results = restore_frames(
            network,
            reader,
            controls=replace(settings.controls(), range=FrameNumbers(numbers), measure_blur=False),
            device=device,
            dtype=settings.torch_dtype(device),
            tile=tile,
        )
        for index, result in enumerate(results):
            now = time.perf_counter()
            if index in numbers:
                seconds += now - start
                for name, frame in (("input", result.before), ("restored", result.after)):
                    write_image(partial / f"{frame.name}_{name}.png", frame.image)
                parts.append(_part(result))
            start = time.perf_counter()
            if index >= max(numbers):
                break
        (partial / "index.html").write_text(page(reader.path.name, _INTRODUCTION, parts), "utf-8")
    return Preview(len(parts), reader.expected, seconds / max(len(parts), 1))


def _spread(total: int, count: int, reader: FrameReader, chosen: str | None) -> frozenset[int]:
    """Numbers of up to ``count`` of the ``total`` frames."""
    numbers: Sequence[int] = range(total)
    if chosen is not None:
        part = FrameRange.parse(chosen)
        part.check(reader)
        numbers = [each for each in numbers if part.covers(each, each / reader.format.rate)]
        if not numbers:
            raise UserError(f"--range {chosen}: contains no frame")
    places = {int((place + 0.5) * len(numbers) / count) for place in range(count)}
    return frozenset(numbers[place] for place in places)


def _part(result: Result) -> FramePage:
    before, after = _bytes(result.before.image), _bytes(result.after.image)
    difference, times = draw_difference(_unit(before), _unit(after))
    facts = {"time in the clip": f"{float(result.before.time):.2f} s"}
    if result.blur is not None:
        facts["estimated blur"] = f"{result.blur:.1f} px"
    if not result.restored:
        facts["restored"] = "no: below the blur threshold, or damaged"
    caption = f"Restored minus input, amplified {times:g} times; mid-grey is no change."
    return FramePage(
        result.before.name,
        facts,
        [Figure("input", "input", "", before), Figure("restored", "restored", "", after)],
        [Figure("difference", "difference", caption, difference)],
    )


def _bytes(image: ImageArray) -> Drawn:
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image.astype(np.uint8)


def _unit(image: Drawn) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255
