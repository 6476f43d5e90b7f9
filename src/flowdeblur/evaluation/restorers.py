"""Methods that are scored: the blurry frame itself, a network, or frames of another program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from flowdeblur.blur.deconvolution import richardson_lucy
from flowdeblur.blur.kernels import Trail
from flowdeblur.errors import UserError
from flowdeblur.networks.flow_guided import at_full_size
from flowdeblur.networks.inference import infer
from flowdeblur.networks.scales import FULL, AutoScale, Scales
from flowdeblur.types import Network, Sample
from flowdeblur.video.images import SUFFIXES, read_image


class Prediction(NamedTuple):
    """A restored frame.

    Attributes:
        restored: (3, H, W), RGB, not clamped to [0, 1].
        flow: (2 N, H, W) in pixels; None where the restorer predicts no flow.
    """

    restored: Tensor
    flow: Tensor | None = None


Restorer = Callable[[Sample], Prediction]


@dataclass(frozen=True)
class BlurryInput:
    """The blurry frame as it is.

    Attributes:
        current: position of the frame to restore among the sample's frames.
    """

    current: int

    def __call__(self, sample: Sample) -> Prediction:
        """Take the current frame."""
        return Prediction(sample["frames"][self.current].float() / 255)


@dataclass(frozen=True)
class SharpFrame:
    """The sharp frame itself: the score that metrics without reference give it."""

    def __call__(self, sample: Sample) -> Prediction:
        """Take the sharp frame."""
        return Prediction(sample["sharp"].float() / 255)


@dataclass(frozen=True)
class FromNetwork:
    """A network's restoration of a sample's frames.

    Attributes:
        network: in evaluation mode, on the sample's device.
        scale: see :func:`flowdeblur.networks.inference.infer`.
        ensemble: see there.
    """

    network: Network
    scale: Scales | AutoScale = FULL
    ensemble: int = 1

    def __call__(self, sample: Sample) -> Prediction:
        """Restore.

        Raises:
            RuntimeFailureError: the output is not finite, or the device's memory does not suffice.
        """
        frames = sample["frames"][None].float() / 255
        output = infer(self.network, frames, scale=self.scale, ensemble=self.ensemble)
        restored = output.restored[0]
        if not output.flows:
            return Prediction(restored)
        return Prediction(restored, at_full_size(output.flows[-1], restored.shape[-2:])[0])


@dataclass(frozen=True)
class SameFrame:
    """A restoration of the current frame given as all frames (Fig. 6 of the paper).

    A network should see no motion between equal frames; the difference to its usual output is
    what the neighbours contribute.

    Attributes:
        restorer: gets the frames.
        current: position of the current frame.
    """

    restorer: Restorer
    current: int

    def __call__(self, sample: Sample) -> Prediction:
        """Restore."""
        frames = sample["frames"]
        return self.restorer({**sample, "frames": frames[self.current].expand_as(frames)})


@dataclass(frozen=True)
class RichardsonLucy:
    """Classic deconvolution along the flow that a network predicts: no restoration is learned.

    Attributes:
        restorer: predicts the flow.
        directions: for each flow, -1 to a previous frame, 1 to a following one.
        current: position of the frame to restore among the sample's frames.
        duty_cycle: exposure / frame interval to assume.
        iterations: see :func:`flowdeblur.blur.deconvolution.richardson_lucy`.
    """

    restorer: Restorer
    directions: Sequence[int]
    current: int
    duty_cycle: float = 0.8
    iterations: int = 10

    def __call__(self, sample: Sample) -> Prediction:
        """Deconvolve."""
        blurry, flow = BlurryInput(self.current)(sample).restored, self.restorer(sample).flow
        assert flow is not None, "the network predicts no flow"
        trail = Trail.of_flows(flow[None].float(), self.directions)
        restored = richardson_lucy(blurry[None], trail, self.duty_cycle, iterations=self.iterations)
        return Prediction(restored[0])


@dataclass(frozen=True)
class FromFolder:
    """Frames that another program has restored, ``<root>/<clip>/<frame>.<any image suffix>``.

    Attributes:
        root: the folder.
    """

    root: Path

    def __call__(self, sample: Sample) -> Prediction:
        """Read the frame.

        Raises:
            UserError: it is missing, damaged, or of another size than the sharp frame.
        """
        self.require([sample["key"]])
        path = self._paths[sample["key"]]
        image = read_image(path)
        height, width = sample["sharp"].shape[-2:]
        if image.shape[:2] != (height, width):
            raise UserError(
                f"{path}: is {image.shape[1]}x{image.shape[0]} pixels, but the sharp frame "
                f"is {width}x{height}; frames are compared at full size"
            )
        frame = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)
        return Prediction(frame.to(sample["sharp"].device) / np.iinfo(image.dtype).max)

    def require(self, keys: Sequence[str]) -> None:
        """Check that no frame is missing.

        Raises:
            UserError: some are missing; names the first.
        """
        missing = [key for key in keys if key not in self._paths]
        if missing:
            example = f", such as {next(iter(self._paths))}" if self._paths else ""
            raise UserError(
                f"{self.root}: {len(missing)} of {len(keys)} frames are missing, for example "
                f"{missing[0]}; there are {len(self._paths)}, as <clip>/<frame>.png{example}"
            )

    @cached_property
    def _paths(self) -> dict[str, Path]:
        if not self.root.is_dir():
            raise UserError(f"{self.root}: no such folder; name the folder of the restored clips")
        paths: dict[str, Path] = {}
        for path in sorted(self.root.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            key = path.relative_to(self.root).with_suffix("").as_posix()
            if key in paths:
                raise UserError(f"{path}: {paths[key].name} is the same frame; remove one of them")
            paths[key] = path
        return paths
