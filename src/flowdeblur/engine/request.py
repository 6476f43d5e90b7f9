"""What an evaluation is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Request:
    """The values at the root of ``conf/evaluate.yaml``.

    Attributes:
        weights: a weights file, a run folder, or a name.
        allow: packages besides flowdeblur whose classes the weights file may name.
        predictions: a folder of restored frames, instead of weights.
        split: split of the data to score.
        sharp: whether to score the sharp frames themselves too.
        same_frame: whether the current frame is also restored from itself, given as all frames.
        deconvolution: whether to also deconvolve along the predicted flow.
        motion_bins: edges of the bins in pixels.
        warp_error: whether to measure flicker.
        scale: scales that the network restores at, coarse to fine; ``auto`` chooses for each frame.
        ensemble: number of mirrored and turned views of a frame to take the mean of.
        save_frames: whether to write the restored frames.
        device: device to compute on; None uses the GPU if there is one.
        seed: data may refer to it; scores do not depend on it.
        run_dir: folder of the results.
    """

    weights: str | None
    allow: Sequence[str]
    predictions: str | None
    split: Literal["train", "val", "test"]
    sharp: bool
    same_frame: bool
    deconvolution: bool
    motion_bins: Sequence[float]
    warp_error: bool
    save_frames: bool
    scale: str | float | Sequence[float]
    ensemble: int
    device: str | None
    seed: int
    run_dir: str
