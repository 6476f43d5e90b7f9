"""The types that packages exchange: samples, batches, networks and their output."""

from __future__ import annotations

from typing import NamedTuple, NotRequired, Protocol, TypedDict

from torch import Tensor


class Batch(TypedDict):
    """B samples of one size.

    Attributes:
        frames: (B, T, 3, H, W), RGB in [0, 1], in the order of the network's ``frame_offsets``.
        sharp: (B, 3, H, W), the ground truth of the frame at offset 0.
        key: B texts that name clip and frame.
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

    The pictures stay 8-bit, as the data sets are; the batch makes them float in [0, 1].

    Attributes:
        frames: (T, 3, H, W) uint8 RGB, the blurry frames in the order of the frame offsets.
        sharp: (3, H, W) uint8 RGB, the ground truth of the frame at offset 0.
        key: which clip and frame this is, as ``clip/frame``.
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
    """Samples by number; it can be pickled, and read by several processes at once."""

    @property
    def keys(self) -> list[str]:
        """The samples' keys, ``clip/frame``, clip by clip and in order; nothing is decoded."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class Source(Protocol):
    """A plain, immutable recipe for samples: nothing is read or rendered before it is opened."""

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> SampleSequence:
        """Prepare what is needed and return the samples.

        Args:
            frame_offsets: the frames of a sample relative to the one to restore: (0, 1), (-1, 0, 1)
                or (0,).
            flow_offsets: the neighbours to which the true flow is wanted: (1,), (-1, 1) or (). A
                source that knows no flow leaves ``flow`` and ``visible`` out.

        Returns:
            The samples.

        Raises:
            UserError: the files are missing, damaged or cannot be written.
        """
        ...


class Restoration(NamedTuple):
    """Output of a network; a field is empty where the network has nothing to put there.

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


class Network(Protocol):
    """A network that restores one frame of a video; any ``nn.Module`` of this form fits.

    Attributes:
        frame_offsets: the frames that it reads, relative to the one to restore, in the order of
            its input; they include 0.
        flow_offsets: the neighbours that it predicts flow to; may be empty.
        current_index: position of the frame to restore in ``frame_offsets``.
    """

    frame_offsets: tuple[int, ...]
    flow_offsets: tuple[int, ...]

    @property
    def current_index(self) -> int:
        """Position of the frame to restore."""
        ...

    def __call__(self, frames: Tensor, *, keep_rnn_weights: bool = False) -> Restoration:
        """Restore the frame at offset 0.

        Args:
            frames: (B, T, 3, H, W), RGB in [0, 1], in the order of ``frame_offsets``; any H and W
                from 1.
            keep_rnn_weights: whether ``Restoration.rnn_weights`` is needed.
        """
        ...
