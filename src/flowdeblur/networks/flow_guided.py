"""The whole network: flow subnet, couplings and deblurring subnet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowdeblur.networks.coupling import SpatiallyVariantRNN
from flowdeblur.networks.deblurring import DeblurringSubnet, EncoderCoupled
from flowdeblur.networks.flow import FlowSubnet
from flowdeblur.networks.lesions import Lesion, flow_guided_lesions
from flowdeblur.networks.shrinkage import shrink_changes
from flowdeblur.types import Restoration

STRIDE = 64
"""The flow subnet halves its input six times: sizes inside the network are multiples of 64."""


class FlowGuidedDeblurring(nn.Module):
    """Restore a frame of a video from itself and its neighbours (Fig. 1).

    Args:
        deblurring_subnet: makes the deblurring subnet, from ``width`` and ``guide_channels``.
        flow_subnet: makes the flow subnet, from ``width``, ``frames`` and ``flows``; None leaves it
            out.
        frame_offsets: which frames are read, relative to the one to restore, in the order of the
            input; holds 0.
        flow_offsets: the neighbours that flow is predicted to, coarse to fine; empty where the flow
            subnet's output means no flow because it sees a single frame.
        width: channels of the first layers, even; 24 in the paper.
        padding: how frames are padded to multiples of 64 at the right and bottom, a mode of
            :func:`torch.nn.functional.pad`: ``replicate``, or ``constant`` (zeros) as the released
            code does.
        shrinkage: changes that are small beside this error, in levels of 255, are damped, see
            :func:`~flowdeblur.networks.shrinkage.shrink_changes`; 0, as in the paper, damps none.
            Not for training from scratch: where nothing is changed yet, it has no gradient.
    """

    def __init__(
        self,
        *,
        deblurring_subnet: Callable[..., DeblurringSubnet],
        flow_subnet: Callable[..., FlowSubnet] | None = None,
        frame_offsets: Sequence[int] = (0, 1),
        flow_offsets: Sequence[int] = (1,),
        width: int = 24,
        padding: str = "replicate",
        shrinkage: float = 0.0,
    ) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"width must be even and at least 2, got {width}")
        if not set(flow_offsets) <= set(frame_offsets) - {0} or 0 not in frame_offsets:
            raise ValueError(
                "frame_offsets must hold 0 and every flow offset, "
                f"got {frame_offsets} and {flow_offsets}"
            )
        if padding not in ("replicate", "constant"):
            raise ValueError(f"padding must be replicate or constant, got {padding}")
        self.frame_offsets, self.flow_offsets = tuple(frame_offsets), tuple(flow_offsets)
        self.current_index = self.frame_offsets.index(0)
        if shrinkage < 0:
            raise ValueError(f"shrinkage must not be negative, got {shrinkage}")
        self.padding, self.shrinkage = padding, shrinkage
        self.flow_subnet: FlowSubnet | None = None
        guide_channels: Sequence[int | None] = (None, None, None)
        if flow_subnet is not None:
            # Without a neighbour the flow layers stay, as features: the row differs from the
            # proposed one in conv1 only.
            flows = max(len(self.flow_offsets), 1)
            self.flow_subnet = flow_subnet(width=width, frames=len(self.frame_offsets), flows=flows)
            guide_channels = self.flow_subnet.guide_channels
        self.deblurring_subnet = deblurring_subnet(width=width, guide_channels=guide_channels)

    def forward(self, frames: Tensor, *, keep_rnn_weights: bool = True) -> Restoration:
        """Restore the frame at offset 0.

        Args:
            frames: (B, T, 3, H, W), RGB in [0, 1], in the order of ``frame_offsets``; any H and W
                from 1.
            keep_rnn_weights: False saves the pass over memory that makes ``rnn_weights`` from their
                logits (the operator has the tanh inside).

        Raises:
            ValueError: ``frames`` has another shape.
        """
        stacked = self._stack(frames)
        height, width = frames.shape[-2:]
        first = 3 * self.current_index
        flows: tuple[Tensor, ...] = ()
        guides: Sequence[Tensor | None] = (None, None, None)
        if self.flow_subnet is not None:
            flows, guides = self.flow_subnet(stacked)
        frame = stacked[:, first : first + 3]
        restored, logits = self.deblurring_subnet(frame, guides)
        return Restoration(
            self._shrink(frame, restored)[..., :height, :width],
            flows if self.flow_offsets else (),
            tuple(torch.tanh(each.float()) for each in logits) if keep_rnn_weights else (),
        )

    def predict_flows(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Run only the flow subnet: frames (B, T, 3, H, W) -> ``Restoration.flows``."""
        stacked = self._stack(frames)
        if self.flow_subnet is None or not self.flow_offsets:
            return ()
        flows: tuple[Tensor, ...] = self.flow_subnet(stacked).flows
        return flows

    @torch.no_grad()
    def pass_blurry_frame(self) -> None:
        """Let the last layer copy the blurry frame, and add to it what the features say."""
        identity = self.deblurring_subnet.d_conv0.weight[:, :3]
        identity.zero_()
        identity[range(3), range(3), 2, 2] = 1

    def lesions(self) -> dict[str, Lesion]:
        """Parts that can be switched off, by name."""
        return flow_guided_lesions(self)

    def in_strips(self) -> Callable[[Tensor, int], Tensor] | None:
        """What restores frames (B, T, 3, H, W) in strips of some rows; None where it cannot.

        The result is that of ``forward`` up to rounding, in less memory; see
        :mod:`flowdeblur.networks.strips`. It is made for couplings in the encoder.
        """
        subnet = self.deblurring_subnet
        swept = isinstance(subnet, EncoderCoupled) and isinstance(subnet.rnn1, SpatiallyVariantRNN)
        return self._restore_in_strips if swept else None

    def _restore_in_strips(self, frames: Tensor, rows: int) -> Tensor:
        subnet, flow = self.deblurring_subnet, self.flow_subnet
        assert isinstance(subnet, EncoderCoupled)
        assert flow is not None
        stacked = self._stack(frames)
        height, width = frames.shape[-2:]
        first = 3 * self.current_index
        guides = flow(stacked).guides
        frame = stacked[:, first : first + 3]
        restored = subnet.restore_in_strips(frame, guides, rows // 2)
        return self._shrink(frame, restored)[..., :height, :width]

    def _shrink(self, frame: Tensor, restored: Tensor) -> Tensor:
        if not self.shrinkage:
            return restored
        return shrink_changes(frame, restored.float(), self.shrinkage)

    def _stack(self, frames: Tensor) -> Tensor:
        if frames.ndim != 5 or frames.shape[1] != len(self.frame_offsets) or frames.shape[2] != 3:
            raise ValueError(
                f"expected frames (B, {len(self.frame_offsets)}, 3, H, W) for the offsets "
                f"{self.frame_offsets}, got {tuple(frames.shape)}"
            )
        return pad_to_multiple(frames.flatten(1, 2), STRIDE, self.padding)


def at_full_size(flow: Tensor, size: Sequence[int]) -> Tensor:
    """Bring a flow of the network to the size of the frame.

    Args:
        flow: (B, 2 N, h, w) of the frame padded to multiples of 64, in pixels of its own scale.
        size: (H, W) of the frame.

    Returns:
        (B, 2 N, H, W) in pixels of the frame.
    """
    height, width = size
    scale = -(-height // STRIDE) * STRIDE // flow.shape[-2]
    full = F.interpolate(scale * flow, scale_factor=scale, mode="bilinear", align_corners=False)
    return full[..., :height, :width]


def pad_to_multiple(x: Tensor, multiple: int, mode: str) -> Tensor:
    """Pad (B, C, H, W) at the right and bottom until H and W are multiples of ``multiple``."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode=mode)
