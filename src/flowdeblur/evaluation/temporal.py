"""Flicker: how much a restored video changes where the sharp one only moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowdeblur.errors import UserError
from flowdeblur.evaluation.restorers import Prediction
from flowdeblur.ops.warp import backward_warp, inside
from flowdeblur.types import Sample

ImageArray = NDArray[np.uint8]
EstimateFlow = Callable[[ImageArray, ImageArray], Tensor]


class _Frames(NamedTuple):
    key: str
    image: ImageArray
    """The sharp frame, for the flow."""
    frames: dict[str, Tensor]
    """By method, and the sharp one."""


class WarpError:
    """The temporal warp error (Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018).

    The next frame is brought onto a frame along the optical flow between the *sharp* frames, and
    compared where it is visible (:func:`visible`). The sharp frames have an error of their own,
    from light, noise and errors of the flow. A video that is steady because it is blurry may have a
    lower one, so read it beside PSNR.

    Args:
        keys: of all samples, ``clip/frame``, in order.
        scored: those of them that are restored.
        estimate: the flow (2, H, W) in pixels from one image (H, W, 3) to another.

    Raises:
        UserError: no two frames that follow each other are restored.
    """

    def __init__(self, keys: Iterable[str], scored: Iterable[str], estimate: EstimateFlow) -> None:
        wanted = set(scored)
        self._next = {
            key: follower
            for key, follower in pairwise(keys)
            if {key, follower} <= wanted and _clip(key) == _clip(follower)
        }
        if not self._next:
            raise UserError(
                "warp_error: no two scored frames follow each other in a clip; choose data with "
                "clips and a protocol that scores all frames, or leave it out"
            )
        self._estimate = estimate
        self._last: _Frames | None = None
        self._errors: dict[str, list[float]] = {}
        self._visible: list[float] = []

    def __call__(self, sample: Sample, predictions: Mapping[str, Prediction]) -> None:
        """Take in the predictions of a frame, in the order of the keys."""
        sharp = sample["sharp"]
        frames = {name: each.restored.clamp(0, 1) for name, each in predictions.items()}
        frames["sharp"] = sharp.float() / 255
        last, self._last = self._last, _Frames(sample["key"], _to_array(sharp), frames)
        if (
            last is not None
            and self._next.get(last.key) == sample["key"]
            and last.image.shape == self._last.image.shape
        ):
            self._compare(last, self._last)

    def summary(self) -> dict[str, Any]:
        """Average over pairs of frames.

        Returns:
            ``pairs`` (how many), ``visible`` (share of the pixels; None without pairs), and the
            mean squared ``errors`` by method, of values in [0, 1].
        """
        return {
            "pairs": len(self._visible),
            "visible": fmean(self._visible) if self._visible else None,
            "errors": {name: fmean(each) for name, each in self._errors.items()},
        }

    def _compare(self, current: _Frames, following: _Frames) -> None:
        device = current.frames["sharp"].device
        forward, backward = (
            self._estimate(a.image, b.image)[None].to(device)
            for a, b in ((current, following), (following, current))
        )
        mask = visible(forward, backward)
        share = mask.double().mean()
        self._visible.append(share.item())
        if not share:
            return
        for name, frame in current.frames.items():
            warped = backward_warp(following.frames[name][None], forward)
            error = (frame - warped).double().square() * mask
            self._errors.setdefault(name, []).append((error.mean() / share).item())


def visible(forward: Tensor, backward: Tensor) -> Tensor:
    """Whether each pixel of a frame is visible in the other frame, by the flow.

    A pixel counts if it stays inside, if the flow back leads to where it came from, and if it is
    not at a border of motion (Ruder et al., "Artistic Style Transfer for Videos", GCPR 2016).

    Args:
        forward: (B, 2, H, W) in pixels, to the other frame.
        backward: (B, 2, H, W), from the other frame.

    Returns:
        (B, 1, H, W) bool.
    """
    back = backward_warp(backward, forward)
    lengths, back_lengths = _squares(forward), _squares(back)
    returns = _squares(forward + back) <= 0.01 * (lengths + back_lengths) + 0.5
    slopes = sum(_squares(each) for each in torch.gradient(forward, dim=(-2, -1)))
    return inside(forward) & returns & (slopes <= 0.01 * lengths + 0.002)


def _squares(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True)


def _to_array(frame: Tensor) -> ImageArray:
    image: ImageArray = frame.permute(1, 2, 0).contiguous().cpu().numpy()
    return image


def _clip(key: str) -> str:
    return key.rpartition("/")[0]
