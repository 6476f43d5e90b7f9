"""What every source of training and test data hands out."""

from __future__ import annotations

from typing import NotRequired, Protocol, TypedDict

from torch import Tensor


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
