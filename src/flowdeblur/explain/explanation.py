"""Measures of one restored frame that need no ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowdeblur.blur.kernels import Trail, reblur, trail_inside
from flowdeblur.networks.flow_guided import at_full_size
from flowdeblur.networks.inference import infer
from flowdeblur.types import Network


@dataclass(frozen=True, slots=True)
class Motion:
    """The motion that a network predicts, and the re-blurred frame that follows from it.

    Attributes:
        flow: (2, H, W) in pixels, to the neighbour in ``flow_offsets`` that comes last.
        trail: of the frame's pixels, (1, 2, H, W) each.
        reblurred: (3, H, W), the restored frame blurred along the trail.
        consistency: PSNR (dB) of ``reblurred`` against the input.
        consistency_of_input: the same for the input blurred along the trail, the score of a network
            that changes nothing.
    """

    flow: Tensor
    trail: Trail
    reblurred: Tensor
    consistency: float
    consistency_of_input: float

    @property
    def gain(self) -> float:
        """By how many dB the restored frame explains the input better than the input itself."""
        return self.consistency - self.consistency_of_input


@dataclass(frozen=True, slots=True)
class SameFrameResult:
    """Result for the current frame given as all frames, as if nothing moved (Fig. 6).

    Attributes:
        restored: (3, H, W).
        flow: (2, H, W) in pixels; near zero if the network has learned to predict flow.
    """

    restored: Tensor
    flow: Tensor


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of one frame, on the CPU.

    Attributes:
        blurry: (3, H, W) in [0, 1], the input.
        restored: (3, H, W) in [0, 1].
        rnn_weights: see ``Restoration``; empty for networks without RNNs.
        motion: None for networks that predict no flow.
        still: None for networks that predict no flow, or where it is not wanted.
    """

    blurry: Tensor
    restored: Tensor
    rnn_weights: tuple[Tensor, ...]
    motion: Motion | None
    still: SameFrameResult | None


@torch.inference_mode()
def explain_frame(
    network: Network,
    frames: Tensor,
    directions: Sequence[int],
    duty_cycle: float,
    *,
    twice: bool = True,
) -> Explanation:
    """Restore a frame and keep its flow, kernels and RNN weights.

    Args:
        network: in evaluation mode.
        frames: (1, T, 3, H, W) in [0, 1], on the network's device.
        directions: for each of ``network.flow_offsets`` -1 where the neighbour was taken before the
            frame, 1 where after it, 0 where it is the frame itself.
        duty_cycle: exposure / frame interval, in [0, 1].
        twice: whether the frame is also restored from itself (``still``), which takes as long.
    """
    blurry = frames[:, network.current_index]
    result = infer(network, frames, keep_rnn_weights=True)
    restored = result.restored.clamp(0, 1)
    motion = still = None
    if result.flows:
        motion = _motion(blurry, restored, result.flows[-1], directions, duty_cycle)
        still = _same_frame(network, frames, blurry) if twice else None
    weights = tuple(each.cpu() for each in result.rnn_weights)
    return Explanation(blurry[0].cpu(), restored[0].cpu(), weights, motion, still)


def _same_frame(network: Network, frames: Tensor, blurry: Tensor) -> SameFrameResult:
    result = infer(network, blurry[:, None].expand_as(frames))
    return SameFrameResult(
        result.restored[0].clamp(0, 1).cpu(),
        at_full_size(result.flows[-1], _size(blurry))[0, -2:].cpu(),
    )


def consistency(
    sharp: Tensor, blurry: Tensor, trail: Trail, duty_cycle: float
) -> tuple[Tensor, float]:
    """Blur a frame along trails and compare it with a blurry one: re-blur consistency.

    Args:
        sharp: (1, 3, H, W) in [0, 1].
        blurry: the same.
        trail: (1, 2, H, W) each.
        duty_cycle: exposure / frame interval, in [0, 1].

    Returns:
        The blurred frame, and its PSNR in dB over the pixels whose trail is inside the frame;
        equal images score 100.
    """
    blurred = reblur(sharp, trail, duty_cycle)
    seen = trail_inside(trail, duty_cycle).expand_as(blurred)
    if not seen.any():  # a jump longer than the frame
        seen = torch.ones_like(seen)
    error = (blurred - blurry)[seen].square().mean().clamp(min=1e-10)
    return blurred, float(-10 * error.log10())


def _motion(
    blurry: Tensor, restored: Tensor, flow: Tensor, directions: Sequence[int], duty_cycle: float
) -> Motion:
    full = at_full_size(flow, _size(blurry))
    trail = Trail.of_flows(full, directions)
    reblurred, of_restored = consistency(restored, blurry, trail, duty_cycle)
    _, of_input = consistency(blurry, blurry, trail, duty_cycle)
    return Motion(
        full[0, -2:].cpu(),
        Trail(trail.before.cpu(), trail.after.cpu()),
        reblurred[0].cpu(),
        of_restored,
        of_input,
    )


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
