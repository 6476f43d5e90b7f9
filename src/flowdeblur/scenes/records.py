"""Scenes as records of fixed size: the same bytes from a cache and rendered on the fly."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import torch

from flowdeblur.blur.degradation import add_noise
from flowdeblur.blur.light import to_8_bit
from flowdeblur.scenes.render import expose, true_flow, view
from flowdeblur.scenes.scene import Scene
from flowdeblur.types import Sample

RENDERER_VERSION = 1
"""Part of a cache's name, increased with every change that alters a pixel or the record."""


class Records(Protocol):
    """Records by number, such as a memory-mapped array of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.void: ...


def record_type(size: tuple[int, int], offsets: tuple[int, ...]) -> np.dtype[np.void]:
    """Type of a scene's record: the frames at ``offsets``, and the flow to each except 0.

    Flow is kept in half precision: it errs by less than 0.008 px up to 32 px, and by 0.05 % beyond.
    """
    frames, neighbours = len(offsets), len(offsets) - 1
    return np.dtype(
        [
            ("frames", "u1", (frames, 3, *size)),
            ("sharp", "u1", (3, *size)),
            ("flow", "<f2", (neighbours, 2, *size)),
            ("visible", "?", (neighbours, *size)),
        ]
    )


def render_record(scene: Scene, offsets: tuple[int, ...], noise_seed: tuple[int, ...]) -> np.void:
    """Render the record of a scene; see :func:`record_type`.

    Args:
        scene: what is seen.
        offsets: the frames to expose.
        noise_seed: together with a frame's offset it determines the frame's noise.
    """
    record = np.zeros((), record_type(scene.size, offsets))
    for place, offset in enumerate(offsets):
        # Seeds are unsigned: a negative offset counts down from 2^32.
        noise = np.random.default_rng([*noise_seed, offset % 2**32])
        light = add_noise(expose(scene, offset), scene.noise, noise)
        record["frames"][place] = to_8_bit(light).numpy()
    record["sharp"] = to_8_bit(view(scene, np.zeros(1))[0]).numpy()
    for place, offset in enumerate(offset for offset in offsets if offset != 0):
        flow, visible = true_flow(scene, offset)
        record["flow"][place], record["visible"][place] = flow.numpy(), visible.numpy()
    return cast(np.void, record[()])


class SceneSequence:
    """Samples read from records.

    Args:
        records: the rendered scenes.
        name: first part of the samples' keys.
        offsets: the offsets that the records hold.
        frame_offsets: the frames wanted.
        flow_offsets: the neighbours to which the flow is wanted.
    """

    def __init__(
        self,
        records: Records,
        *,
        name: str,
        offsets: tuple[int, ...],
        frame_offsets: tuple[int, ...],
        flow_offsets: tuple[int, ...],
    ) -> None:
        neighbours = [offset for offset in offsets if offset != 0]
        self._records = records
        self._name = name
        self._frames = [offsets.index(offset) for offset in frame_offsets]
        self._flows = [neighbours.index(offset) for offset in flow_offsets]

    def __len__(self) -> int:
        return len(self._records)

    @property
    def keys(self) -> list[str]:
        """A scene is a clip with one sample, frame 0."""
        return [self._key(index) for index in range(len(self))]

    def __getitem__(self, index: int) -> Sample:
        """Return scene ``index``, 0 <= index < len.

        Raises:
            IndexError: there is no such scene.
        """
        if not 0 <= index < len(self):
            raise IndexError(
                f"{self._name} has {len(self)} scenes, there is none with number {index}"
            )
        record = self._records[index]
        # Both indexing by a list and copying detach the sample from a mapped, read-only file.
        sample = Sample(
            frames=torch.from_numpy(record["frames"][self._frames]),
            sharp=torch.from_numpy(record["sharp"].copy()),
            key=self._key(index),
        )
        if self._flows:
            flow = record["flow"][self._flows].astype(np.float32)
            sample["flow"] = torch.from_numpy(flow).flatten(0, 1)
            sample["visible"] = torch.from_numpy(record["visible"][self._flows])
        return sample

    def _key(self, index: int) -> str:
        return f"{self._name}-{index:05d}/0"
