"""The types that packages exchange: samples, batches, networks and their output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NotRequired, Protocol, Self, TypedDict

import torch
from torch import Tensor, nn


class Batch(TypedDict):
    """B samples of one size.

    Attributes:
        frames: (B, T, 3, H, W), RGB in [0, 1], in the order of the network's ``frame_offsets``.
        sharp: (B, 3, H, W), the ground truth of the frame at offset 0.
        key: B strings, ``clip/frame``.
        flow: (B, 2 N, H, W), true flow (dx, dy) in pixels to each neighbour in the network's
            ``flow_offsets``.
        visible: (B, N, H, W) bool, false where the flow's target is occluded or outside.
    """

    frames: Tensor
    sharp: Tensor
    key: list[str]
    flow: NotRequired[Tensor]
    visible: NotRequired[Tensor]


class Sample(TypedDict):
    """One frame to restore, its T - 1 neighbours and, where known, the true flow to N of them.

    Images stay 8-bit, as in the data sets; collating a batch converts them to floats in [0, 1].

    Attributes:
        frames: (T, 3, H, W) uint8 RGB, the blurry frames in the order of the frame offsets.
        sharp: (3, H, W) uint8 RGB, the ground truth of the frame at offset 0.
        key: clip and frame, as ``clip/frame``.
        flow: (2 N, H, W) float32, (dx, dy) in pixels to each neighbour in the order of the flow
            offsets, from the middle of the current exposure to the middle of the neighbour's.
        visible: (N, H, W) bool, false where the current frame's point is occluded or outside in
            that neighbour.
    """

    frames: Tensor
    sharp: Tensor
    key: str
    flow: NotRequired[Tensor]
    visible: NotRequired[Tensor]


class SampleSequence(Protocol):
    """Samples by index; it can be pickled, and read by several processes at once."""

    @property
    def keys(self) -> list[str]:
        """Keys of the samples, ``clip/frame``, clip by clip and in order; decodes nothing."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class Source(Protocol):
    """An immutable description of samples; nothing is read or rendered before ``open``."""

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> SampleSequence:
        """Open the samples; reads, renders or downloads what they need.

        Args:
            frame_offsets: the frames of a sample relative to the one to restore: (0, 1), (-1, 0, 1)
                or (0,).
            flow_offsets: the neighbours to which the true flow is wanted: (1,), (-1, 1) or (). A
                source without true flow omits ``flow`` and ``visible``.

        Returns:
            The samples.

        Raises:
            UserError: the files are missing, damaged or cannot be written.
        """
        ...


class Restoration(NamedTuple):
    """Output of a network; each field but the first may be empty.

    Attributes:
        restored: (B, 3, H, W), not clamped to [0, 1].
        flows: coarse to fine, each (B, 2 N, h, w): (dx, dy) to each of the N neighbours in
            ``flow_offsets``, in pixels of its own scale. Of the padded frame: for the paper's
            network h = ceil(H / 64) * 64 / scale at the scales 1/64 .. 1/4.
        rnn_weights: coarse to fine (1/8, 1/4, 1/2), each (B, 4 C, h, w) in (-1, 1), directions
            left>right, right>left, top>bottom, bottom>top.
        coarse: restored frames at lower scales, coarse to fine, each (B, 3, h, w).
    """

    restored: Tensor
    flows: tuple[Tensor, ...] = ()
    rnn_weights: tuple[Tensor, ...] = ()
    coarse: tuple[Tensor, ...] = ()

    def float(self) -> Restoration:
        """Return the same in float32, after mixed precision."""
        flows, rnn_weights, coarse = (
            tuple(x.float() for x in each) for each in (self.flows, self.rnn_weights, self.coarse)
        )
        return Restoration(self.restored.float(), flows, rnn_weights, coarse)


class _TorchModule(Protocol):
    """The part of ``nn.Module`` that callers of a network use."""

    def eval(self) -> Self: ...
    def to(self, device: torch.device) -> Self: ...
    def half(self) -> Self: ...
    def requires_grad_(self, requires_grad: bool = True) -> Self: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def named_modules(self) -> Iterator[tuple[str, nn.Module]]: ...
    def get_submodule(self, target: str, /) -> nn.Module: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> Any: ...


class Network(_TorchModule, Protocol):
    """A network that restores one frame of a video.

    Any ``nn.Module`` with these three attributes and this ``forward`` fits; it need not inherit
    from this class. A network that predicts flow may also have ``predict_flows``, see
    :class:`FlowNetwork`.

    Attributes:
        frame_offsets: the frames that it reads, relative to the one to restore, in the order of
            its input; they include 0.
        flow_offsets: the neighbours that it predicts flow to; may be empty.
    """

    frame_offsets: tuple[int, ...]
    flow_offsets: tuple[int, ...]

    @property
    def current_index(self) -> int:
        """Position of the frame to restore in ``frame_offsets``."""
        ...

    def __call__(self, frames: Tensor, *, keep_rnn_weights: bool = False) -> Restoration:
        """Restore the frame at offset 0.

        Args:
            frames: (B, T, 3, H, W), RGB in [0, 1], in the order of ``frame_offsets``; any H and W
                from 1.
            keep_rnn_weights: whether ``Restoration.rnn_weights`` is needed.
        """
        ...


class FlowNetwork(Network, Protocol):
    """A network whose flow can be predicted without restoring the frame."""

    def predict_flows(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Predict ``Restoration.flows`` of frames (B, T, 3, H, W)."""
        ...
