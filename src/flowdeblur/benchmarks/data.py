"""How fast samples come from packed frames and from images, and what augmentation costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

from flowdeblur.blur.light import to_8_bit
from flowdeblur.data import ColorPermutation, Crop, Dihedral, TurnedCrop
from flowdeblur.data.augmentation import Transform
from flowdeblur.data.sampler import BatchStream
from flowdeblur.data.samples import AugmentedSamples, collate
from flowdeblur.datasets import FrameFolders, PackedFrames
from flowdeblur.datasets.packed import pack
from flowdeblur.scenes.leaves import dead_leaves
from flowdeblur.types import Source
from flowdeblur.video.images import write_image

SIZE = (720, 1280)
PATCH = (256, 256)
CLIPS, FRAMES = 2, 12
BATCH = 8

AUGMENTATIONS: dict[str, Transform] = {
    "crop": Crop(PATCH),
    "crop, rotated and resized": TurnedCrop(PATCH),
    "mirrored and turned by quarters": Dihedral(),
    "colors permuted": ColorPermutation(),
}


@dataclass(frozen=True)
class Rate:
    """Samples a second.

    Attributes:
        frames: what they are read from.
        augmentation: what is done to them.
        workers: processes; 0 is the process that trains.
        samples_per_second: median of the repetitions.
    """

    frames: str
    augmentation: str
    workers: int
    samples_per_second: float


@dataclass(frozen=True)
class Cost:
    """Milliseconds that a step of preparing a sample takes in one process."""

    step: str
    milliseconds: float


def write_frames(folder: Path) -> dict[str, Source]:
    """Write clips of 1280x720 below ``folder`` as PNG, as JPEG and packed.

    The frames are windows that move over dead leaves, whose statistics, and so the time that they
    take to decode, are those of natural images.
    """
    for clip in range(CLIPS):
        rng = np.random.default_rng(clip)
        light = dead_leaves(rng, SIZE[0] + FRAMES * 8, SIZE[1] + FRAMES * 8, 1.0, 200.0)
        world = to_8_bit(light).permute(1, 2, 0).numpy()
        for number in range(FRAMES):
            window = world[8 * number :, 8 * number :][: SIZE[0], : SIZE[1]]
            for kind in ("input", "GT"):
                for suffix in (".png", ".jpg"):
                    path = folder / suffix[1:] / f"clip{clip}" / kind / f"{number:05d}{suffix}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_image(path, window)
    pack(FrameFolders(str(folder / "png")).pairs(), folder / "packed")
    return {
        "packed": PackedFrames(str(folder / "packed")),
        "JPEG": FrameFolders(str(folder / "jpg")),
        "PNG": FrameFolders(str(folder / "png")),
    }


def measure_rates(
    sources: dict[str, Source], workers: Sequence[int], seconds: float, repetitions: int
) -> Iterator[Rate]:
    """Measure every source with every number of workers, and packed frames also turned.

    Args:
        sources: by name, as :func:`write_frames` returns them.
        workers: numbers of processes.
        seconds: how long each is measured.
        repetitions: the median of so many counts.
    """
    plain: tuple[Transform, ...] = (Crop(PATCH), Dihedral(), ColorPermutation())
    turned: tuple[Transform, ...] = (TurnedCrop(PATCH), ColorPermutation())
    for name, source in sources.items():
        recipes = {"cropped, mirrored": plain}
        if name == "packed":
            recipes["rotated, resized"] = turned
        for augmentation, transforms in recipes.items():
            samples = AugmentedSamples(source.open((0, 1), (1,)), transforms, seed=0)
            for count in workers:
                found = [_rate(samples, count, seconds) for _ in range(repetitions)]
                yield Rate(name, augmentation, count, statistics.median(found))


def measure_costs(sources: dict[str, Source], repetitions: int = 50) -> list[Cost]:
    """Measure the steps of preparing a sample, one at a time: medians."""
    costs = []
    for name, source in sources.items():
        samples = source.open((0, 1), (1,))
        numbers = np.arange(repetitions // 2) % len(samples)
        times = [_seconds(partial(samples.__getitem__, int(number))) for number in numbers]
        costs.append(Cost(f"opening, {name}", 1e3 * statistics.median(times)))
    full = sources["packed"].open((0, 1), (1,))
    patch = Crop(PATCH)(full[0], np.random.default_rng(0))
    for name, transform in AUGMENTATIONS.items():
        whole = name.startswith("crop")
        times = []
        for k in range(repetitions):
            rng = np.random.default_rng(k)
            sample = full[k % len(full)] if whole else patch
            times.append(_seconds(partial(transform, sample, rng)))
        costs.append(Cost(name, 1e3 * statistics.median(times)))
    times = [_seconds(partial(collate, [patch] * BATCH)) / BATCH for _ in range(repetitions)]
    costs.append(Cost(f"made a batch of {BATCH}", 1e3 * statistics.median(times)))
    return costs


def to_markdown(
    rates: Sequence[Rate], costs: Sequence[Cost], step: tuple[str, float] | None, where: str
) -> str:
    """The tables, with what they were measured on.

    Args:
        rates: of the sources.
        costs: of the steps.
        step: what a training step is, and the seconds that it takes a sample; None leaves out
            the share.
        where: names the machine.
    """
    share = "" if step is None else " share of a training step |"
    lines = [
        f"Samples of two frames and a sharp one, {PATCH[0]}x{PATCH[1]} out of "
        f"{SIZE[1]}x{SIZE[0]}, files in the page cache, one thread a process. {where}.",
        "",
        "| frames | augmentation | workers | samples / s |" + share,
        "|---|---|---:|---:|" + ("" if step is None else "---:|"),
    ]
    for rate in rates:
        row = (
            f"| {rate.frames} | {rate.augmentation} | {rate.workers} "
            f"| {rate.samples_per_second:.0f} |"
        )
        if step is not None:
            row += f" {100 / rate.samples_per_second / step[1]:.2f} % |"
        lines.append(row)
    if step is not None:
        lines += [
            "",
            f"A training step ({step[0]}) takes {1e3 * step[1]:.1f} ms a sample; the share is the "
            "time between samples over that.",
        ]
    lines += ["", "| step | ms / sample |", "|---|---:|"]
    lines += [f"| {cost.step} | {cost.milliseconds:.2f} |" for cost in costs]
    return "\n".join(lines) + "\n"


def _rate(samples: AugmentedSamples, workers: int, seconds: float) -> float:
    """Samples a second, once the workers are busy."""
    stream = BatchStream(len(samples), BATCH, batches=10**9, seed=0)
    loader = DataLoader(samples, batch_sampler=stream, num_workers=workers, collate_fn=collate)
    batches = iter(loader)
    for _ in range(2 * workers + 1):
        next(batches)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(batches)
        count += BATCH
    return count / (time.perf_counter() - start)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
