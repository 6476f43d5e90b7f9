"""The only way to run a network without gradients."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.networks.ensemble import restore_views
from flowdeblur.networks.scales import FULL, Scales, restore_at_scales
from flowdeblur.networks.strips import strip_rows
from flowdeblur.networks.tiles import restore_in_tiles
from flowdeblur.types import Network, Restoration

_CPU_IS_FULL = "DefaultCPUAllocator"  # part of the only message that has no type of its own

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def prepare(network: AnyNetwork, device: torch.device) -> AnyNetwork:
    """Move a network to a device and put it into evaluation mode.

    On a CPU its weights become channels_last, which PyTorch's convolutions and the operator's
    compiled kernel are faster with; see docs/performance.md.
    """
    if device.type == "cpu":
        cast(Any, network).to(memory_format=torch.channels_last)  # in place; PyTorch lacks the type
    return network.to(device).eval()


def compiled(network: AnyNetwork) -> AnyNetwork:
    """Compile a network for :func:`infer`, for frames of one size; see docs/performance.md.

    It takes a while at the first frame of each size and precision. The network itself stays.

    Raises:
        UserError: there is no C++ compiler.
    """
    if not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
        raise UserError(
            "--compile: needs a C++ compiler; install one, such as g++, or leave it out"
        )
    options: dict[str, Any] = {"freezing": True}  # weights become constants, laid out anew
    return cast(AnyNetwork, torch.compile(cast(Any, network), dynamic=False, options=options))


@torch.inference_mode()
def infer(
    network: Network,
    frames: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    tile: int | None = None,
    scale: Scales | Callable[[Tensor], Scales] = FULL,
    ensemble: int = 1,
    keep_rnn_weights: bool = False,
) -> Restoration:
    """Restore without gradients.

    Args:
        network: in evaluation mode, on the device of ``frames``.
        frames: (B, T, 3, H, W), RGB in [0, 1].
        dtype: of convolutions; below float32 by autocast.
        tile: restore in parts of this height and width, a multiple of 64; None for whole frames.
            A network with ``in_strips`` is run in strips of full width and the same area, which is
            exact up to rounding; others in overlapping tiles, which are not.
        scale: scales to restore at, coarse to fine; or what chooses them for the current frames
            (B, 3, H, W).
        ensemble: number of views, see :func:`flowdeblur.networks.ensemble.restore_views`.
        keep_rnn_weights: whether ``Restoration.rnn_weights`` is needed.

    Returns:
        The network's output in float32. With tiles, a lower scale or an ensemble it holds the
        restored frame only.

    Raises:
        RuntimeFailureError: the restored frame is not finite, or the device's memory does not
            suffice.

    Example:
        >>> from flowdeblur.weights import load
        >>> frames = torch.rand(1, 2, 3, 40, 50)
        >>> infer(load("small"), frames).restored.shape
        torch.Size([1, 3, 40, 50])
    """
    restore_in_strips = _in_strips(network)

    def autocast() -> torch.autocast:
        return torch.autocast(frames.device.type, dtype, enabled=dtype != torch.float32)

    def run(part: Tensor) -> Restoration:
        with autocast():
            return network(part, keep_rnn_weights=keep_rnn_weights)

    def restore(part: Tensor) -> Tensor:
        return run(part).restored.float()

    def restore_parts(part: Tensor) -> Tensor:
        if tile is None or tile >= max(part.shape[-2:]):
            return restore(part)
        if restore_in_strips:
            with autocast():
                restored: Tensor = restore_in_strips(part, strip_rows(tile, part.shape[-1]))
            return restored.float()
        return restore_in_tiles(restore, part, tile)

    def restore_view(view: Tensor) -> Tensor:
        return restore_at_scales(restore_parts, view, network.frame_offsets, scales)

    with _memory_errors(frames):
        scales = scale(frames[:, network.current_index]) if callable(scale) else scale
        whole = tile is None or tile >= max(frames.shape[-2:])
        if scales == FULL and whole and ensemble == 1:
            output = run(frames).float()
        else:
            output = Restoration(restore_views(restore_view, frames, ensemble))
        finite = bool(output.restored.isfinite().all())
    if not finite:
        remedy = "its weights are damaged"
        if dtype == torch.float16:
            remedy = "float16 is too small for its values, or its weights are damaged; use float32"
        raise RuntimeFailureError(f"the network's output is not finite; {remedy}")
    return output


def runs_in_strips(network: Network) -> bool:
    """Whether tiles of this network are exact, because they are strips."""
    return _in_strips(network) is not None


def _in_strips(network: Network) -> Callable[[Tensor, int], Tensor] | None:
    make = getattr(network, "in_strips", None)
    return make() if make is not None else None


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a frame restored in tiles is from the same frame restored whole.

    Attributes:
        psnr: in dB, infinite where there is none.
        largest: in levels of 255.
    """

    psnr: float
    largest: float


def tile_difference(network: Network, frames: Tensor, tile: int) -> Difference:
    """Compare tiles with the whole frame on one window (1, T, 3, H, W); see :func:`infer`."""
    whole = infer(network, frames).restored.clamp(0, 1)
    change = (infer(network, frames, tile=tile).restored.clamp(0, 1) - whole).double()
    error = change.square().mean().item()
    psnr = -10 * math.log10(error) if error else math.inf
    return Difference(psnr, 255 * change.abs().max().item())


@contextmanager
def _memory_errors(frames: Tensor) -> Iterator[None]:
    """Turn a memory error of any device into one line."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _CPU_IS_FULL not in str(error):
            raise
        height, width = frames.shape[-2:]
        raise RuntimeFailureError(
            f"{frames.device} has too little memory for {width}x{height} frames; "
            "use smaller tiles (--tile), fewer frames at a time (--batch), or --device cpu"
        ) from None
