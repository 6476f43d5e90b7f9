"""The filter for VapourSynth scripts: ``flowdeblur.vapoursynth.deblur(clip)``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowdeblur.devices import find_device
from flowdeblur.errors import UserError
from flowdeblur.extras import import_extra
from flowdeblur.neighbours import neighbour
from flowdeblur.networks.scales import choose_scale
from flowdeblur.types import Network
from flowdeblur.video.clip import Frame
from flowdeblur.video.controls import FrameRange
from flowdeblur.video.restore import restore_windows
from flowdeblur.video.settings import Settings
from flowdeblur.video.shots import FrameSignature, is_cut
from flowdeblur.video.windows import Window
from flowdeblur.weights import load


def deblur(
    clip: Any,
    weights: str | Path | Network = "default",
    *,
    allow: Collection[str] = (),
    **settings: Any,
) -> Any:
    """Remove motion blur from a clip.

    Frames are restored when they are requested, in any order. A frame is not paired with one beyond
    a cut: where frames have the properties ``_SceneChangePrev`` or ``_SceneChangeNext``, as those
    of ``misc.SCDetect``, they say where cuts are; elsewhere the frames are compared.

    Args:
        clip: a ``VideoNode`` in RGBS or RGBH with [0, 1] as the displayed range, of constant format
            and size, such as ``clip.resize.Bicubic(format=vs.RGBS, matrix_in_s="709")``.
        weights: name or path of weights, see :func:`flowdeblur.load`, or a network.
        allow: packages besides flowdeblur whose classes the weights may name, see there.
        settings: attributes of :class:`~flowdeblur.video.settings.Settings` that concern frames, as
            ``strength=0.8``, ``only_blurry=True``, ``scale="auto"`` or ``device="cuda"``; a
            ``range`` in frames.

    Returns:
        A clip of the same format and length.

    Raises:
        UserError: the clip has another format, a setting is wrong, or VapourSynth is missing.
    """
    vs = import_extra("vapoursynth", "vapoursynth")
    if clip.format is None or clip.format.id not in (vs.RGBS, vs.RGBH) or not clip.width:
        raise UserError(
            "clip: must be RGBS or RGBH, of constant format and size; convert it with "
            'clip.resize.Bicubic(format=vs.RGBS, matrix_in_s="709")'
        )
    network = load(weights, allow=allow) if isinstance(weights, str | Path) else weights
    chosen = Settings(**settings)
    if chosen.range is not None and FrameRange.parse(chosen.range).in_seconds:
        raise UserError(f"range {chosen.range}: give frames, as 100-250")
    device = find_device(chosen.device)
    dtype = chosen.torch_dtype(device)
    # Frames come in any order, so a running mean of their blur has no meaning.
    controls = replace(chosen.controls(), scale=choose_scale(chosen.scale, memory=0))
    reach = max(map(abs, network.frame_offsets))
    count = len(clip)

    def restore(n: int, f: Any) -> Any:
        sources = f if isinstance(f, list) else [f]
        seen = range(max(0, n - reach), min(count, n + reach + 1))
        frames = {at: _read(sources[at - n + reach], at) for at in seen}
        first, last = _shot(n, frames, cuts=chosen.cuts)
        read = [
            frames[first + neighbour(n - first, offset, last - first + 1)].frame
            for offset in network.frame_offsets
        ]
        window = Window(frames[n].frame, tuple(read))
        (result,) = restore_windows(
            network,
            iter([(n, window)]),
            controls=controls,
            device=device,
            dtype=dtype,
            tile=chosen.tile,
        )
        restored = sources[reach].copy()
        if result.restored:
            for plane in range(3):
                np.copyto(np.asarray(restored[plane]), result.after.image[..., plane])
        return restored

    shifted = [_shift(clip, offset) for offset in range(-reach, reach + 1)]
    return clip.std.ModifyFrame(clips=shifted, selector=restore)


def _shift(clip: Any, offset: int) -> Any:
    """A clip whose frame n is frame n + ``offset``; what is beyond the ends is not read."""
    missing = min(abs(offset), len(clip) - 1)
    if not missing:
        return clip
    if offset > 0:
        return clip[missing:] + clip[-1] * missing
    return clip[0] * missing + clip[:-missing]


class _Read(NamedTuple):
    """A frame with what its properties say: is there a cut before it, or after it?"""

    frame: Frame
    cut_before: bool | None
    cut_after: bool | None


def _read(source: Any, index: int) -> _Read:
    image: NDArray[Any] = np.stack([np.asarray(source[plane]) for plane in range(3)], axis=-1)
    before, after = (source.props.get(each) for each in ("_SceneChangePrev", "_SceneChangeNext"))
    return _Read(Frame(image, str(index), Fraction(index)), before, after)


def _shot(n: int, frames: Mapping[int, _Read], *, cuts: bool) -> tuple[int, int]:
    """First and last frame of the shot of frame n, as far as ``frames`` go."""
    first = last = n
    while first - 1 in frames and not (cuts and _is_cut(frames[first - 1], frames[first])):
        first -= 1
    while last + 1 in frames and not (cuts and _is_cut(frames[last], frames[last + 1])):
        last += 1
    return first, last


def _is_cut(one: _Read, other: _Read) -> bool:
    known = [each for each in (one.cut_after, other.cut_before) if each is not None]
    if known:
        return any(known)
    return is_cut(*(FrameSignature.of(each.frame.image) for each in (one, other)))
