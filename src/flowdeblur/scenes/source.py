"""The source of scenes: settings from which every process renders the same pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from flowdeblur.devices import one_thread_per_operation
from flowdeblur.errors import UserError
from flowdeblur.files import sha256
from flowdeblur.scenes.cache import cached
from flowdeblur.scenes.records import (
    RENDERER_VERSION,
    Records,
    SceneSequence,
    record_type,
    render_record,
)
from flowdeblur.scenes.scene import Scene, draw_scene
from flowdeblur.scenes.textures import PHOTOGRAPHS
from flowdeblur.video.images import list_images

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Scenes:
    """Dynamic scenes with real blur and true flow, from free photographs and random textures.

    Every pixel is a function only of the seed, the split, the scene's number and the frame's
    offset. Splits share neither photographs nor random numbers.

    Attributes:
        split: "train", "val" or "test".
        count: number of scenes; the first ones do not depend on it.
        size: (height, width) of a frame, pixels.
        seed: another seed gives other scenes.
        motion_px: largest speed of the camera's image, pixels per frame interval. Objects move
            relative to it by up to 0.8 times as much.
        still: share of the scenes that hardly move, in [0, 1].
        tripod: share of the scenes whose camera stands still, in [0, 1].
        duty_cycle: (lowest, highest) exposure / frame interval, in [0, 1]; 0 is no blur, 1 an open
            shutter.
        noise: (lowest, highest) standard deviation of the noise at white, as a share of white in
            linear light; (0, 0) for none.
        objects: (lowest, highest) number of objects in front of the background.
        photographs: folder of images to take textures from; None for the embedded ones, of which
            each split has its own.
        cache: folder for rendered scenes; None renders on the fly, at every access.

    Raises:
        UserError: a value is out of its range.
    """

    split: Split
    count: int
    size: tuple[int, int] = (160, 160)
    seed: int = 0
    motion_px: float = 8.0
    still: float = 0.05
    tripod: float = 0.1
    duty_cycle: tuple[float, float] = (0.6, 1.0)
    noise: tuple[float, float] = (0.0, 0.005)
    objects: tuple[int, int] = (2, 5)
    photographs: str | None = None
    cache: str | None = "~/.cache/flowdeblur/scenes"

    def __post_init__(self) -> None:
        _require(self.split in SPLITS, "split", self.split, "train, val or test")
        _require(self.count >= 1, "count", self.count, "at least 1")
        _require(min(self.size) >= 16, "size", self.size, "two numbers of at least 16")
        _require(self.seed >= 0, "seed", self.seed, "at least 0")
        _require(self.motion_px >= 0, "motion_px", self.motion_px, "at least 0")
        _require(0 <= self.still <= 1, "still", self.still, "in [0, 1]")
        _require(0 <= self.tripod <= 1, "tripod", self.tripod, "in [0, 1]")
        for name, most in (("duty_cycle", 1.0), ("noise", 1.0), ("objects", float("inf"))):
            low, high = getattr(self, name)
            _require(0 <= low <= high <= most, name, (low, high), f"ascending in [0, {most:g}]")

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> SceneSequence:
        """Return the scenes; with a cache, render the missing ones first.

        Frames 0 and 1 are always rendered, others on request: training on pairs and on single
        frames share a cache.

        Args:
            frame_offsets: frames of a sample relative to the one to restore.
            flow_offsets: neighbours to which the true flow is needed.

        Raises:
            UserError: the cache folder cannot be written to, or is full.
        """
        offsets = tuple(sorted({0, 1, *frame_offsets, *flow_offsets}))
        rendered = RenderedScenes(self, offsets)
        records: Records = rendered
        if self.cache is not None:
            path = Path(self.cache).expanduser() / f"{self.split}-{self._fingerprint(offsets)}.npy"
            kind = record_type(self.size, offsets)
            records = cached(path, kind, self.count, rendered.__getitem__)
        return SceneSequence(
            records,
            name=f"scenes-{self.split}",
            offsets=offsets,
            frame_offsets=frame_offsets,
            flow_offsets=flow_offsets,
        )

    def scene(self, index: int) -> Scene:
        """Draw scene ``index``, without rendering it."""
        return draw_scene(
            np.random.default_rng(self.random_seed(index, purpose=1)),
            photographs=self._photographs,
            size=self.size,
            motion_px=self.motion_px,
            still=self.still,
            tripod=self.tripod,
            duty_cycle=self.duty_cycle,
            noise=self.noise,
            objects=self.objects,
        )

    def random_seed(self, index: int, purpose: int) -> tuple[int, ...]:
        """Return the seed of scene ``index`` for its drawing (purpose 1) or its noise (purpose 2).

        The purposes are not 0, because NumPy ignores zeros at the end of a seed.
        """
        return (self.seed, SPLITS.index(self.split), index, purpose)

    @cached_property
    def _photographs(self) -> Sequence[str | Path]:
        if self.photographs is None:
            return PHOTOGRAPHS[self.split]
        return list_images(Path(self.photographs).expanduser())

    def _fingerprint(self, offsets: tuple[int, ...]) -> str:
        """Digest of everything that the rendered bytes depend on."""
        recipe = asdict(self) | {"offsets": offsets, "renderer": RENDERER_VERSION}
        del recipe["cache"], recipe["photographs"]
        for name in ("motion_px", "still", "tripod"):  # 24 renders what 24.0 does
            recipe[name] = float(recipe[name])
        if self.photographs is not None:
            recipe["photographs"] = [sha256(Path(each)) for each in self._photographs]
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RenderedScenes:
    """Records rendered at every access.

    Attributes:
        recipe: what to render.
        offsets: the frames of a record.
    """

    recipe: Scenes
    offsets: tuple[int, ...]

    def __len__(self) -> int:
        return self.recipe.count

    def __getitem__(self, index: int) -> np.void:
        noise_seed = self.recipe.random_seed(index, purpose=2)
        with one_thread_per_operation():
            return render_record(self.recipe.scene(index), self.offsets, noise_seed)


def _require(condition: bool, name: str, value: object, wanted: str) -> None:
    if not condition:
        raise UserError(f"scenes: {name} is {value!r}, but must be {wanted}")
