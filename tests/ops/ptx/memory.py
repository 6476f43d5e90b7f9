"""Memory that notices accesses out of bounds, misaligned, before a write, or in a race."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_GRAIN = 2  # bytes that are watched as one: no kernel stores less


class AccessError(Exception):
    """An access that a GPU would punish, or answer with anything."""


class Memory:
    """An address space. Addresses below ``size`` that were not allocated are out of bounds."""

    def __init__(self, size: int) -> None:
        self._bytes = np.zeros(size, np.uint8)
        grains = size // _GRAIN
        self._allocated = np.zeros(grains, bool)
        self._written = np.zeros(grains, bool)
        self._writer = _Access(grains)
        self._reader = _Access(grains)
        self._top = 256

    def allocate(self, size: int, offset: int, content: NDArray[np.uint8] | None = None) -> int:
        """Return the address of ``size`` bytes, ``offset`` after a multiple of 256.

        Without content they count as not written yet.
        """
        start = self._top + offset
        self._top = -(-(start + size + 256) // 256) * 256  # nothing else within 256 bytes
        grains = slice(start // _GRAIN, -(-(start + size) // _GRAIN))
        self._allocated[grains] = True
        if content is not None:
            self._bytes[start : start + size] = content
            self._written[grains] = True
        return start

    def content(self, address: int, size: int) -> NDArray[np.uint8]:
        """Return the bytes from an address on."""
        return self._bytes[address : address + size]

    def load(self, addresses: Ints, width: int, threads: Threads) -> NDArray[np.uint8]:
        """Return ``width`` bytes for each thread, (threads, width)."""
        grains = self._grains(addresses, width)
        if not self._written[grains].all():
            raise AccessError("load of bytes that nobody has written")
        self._writer.check(grains, threads, "load")
        self._reader.note(grains, threads)
        return self._bytes[addresses[:, None] + np.arange(width)]

    def store(self, addresses: Ints, values: NDArray[np.uint8], threads: Threads) -> None:
        """Store (threads, width) bytes."""
        grains = self._grains(addresses, values.shape[1])
        self._writer.check(grains, threads, "store")
        self._reader.check_blocks(grains, threads)
        self._bytes[addresses[:, None] + np.arange(values.shape[1])] = values
        self._written[grains] = True
        self._writer.note(grains, threads)

    def _grains(self, addresses: Ints, width: int) -> Ints:
        if (addresses % width).any():
            raise AccessError(f"access of {width} bytes is not aligned to them")
        if addresses.min() < 0 or addresses.max() + width > len(self._bytes):
            raise AccessError("address out of bounds")
        grains = (addresses // _GRAIN)[:, None] + np.arange(max(1, width // _GRAIN))
        if not self._allocated[grains].all():
            raise AccessError("address out of bounds")
        return grains


class Threads:
    """Who accesses memory, and between which barriers.

    Args:
        block: number of each thread's block.
        thread: its number in the block.
        barriers: barriers that the block has passed.
        warp_barriers: barriers that the warp has passed, those of the block among them.
    """

    def __init__(self, block: Ints, thread: Ints, barriers: Ints, warp_barriers: Ints) -> None:
        columns = (block, thread, barriers, warp_barriers)
        self.block, self.thread, self.barriers, self.warp_barriers = (x[:, None] for x in columns)


class _Access:
    """The last access to each grain."""

    def __init__(self, grains: int) -> None:
        self._block = np.full(grains, -1)
        self._thread, self._barriers, self._warp_barriers = np.zeros((3, grains), int)

    def note(self, grains: Ints, threads: Threads) -> None:
        self._block[grains] = threads.block
        self._thread[grains] = threads.thread
        self._barriers[grains] = threads.barriers
        self._warp_barriers[grains] = threads.warp_barriers

    def check(self, grains: Ints, threads: Threads, what: str) -> None:
        """Raise unless accesses come after the last one of another thread.

        Those of another block never do, those of another thread after a common barrier.
        """
        self.check_blocks(grains, threads)
        other = (self._block[grains] == threads.block) & (self._thread[grains] != threads.thread)
        warp = self._thread[grains] // 32 == threads.thread // 32
        same_epoch = np.where(
            warp,
            self._warp_barriers[grains] == threads.warp_barriers,
            self._barriers[grains] == threads.barriers,
        )
        if (other & same_epoch).any():
            raise AccessError(f"{what} races with the store of another thread")

    def check_blocks(self, grains: Ints, threads: Threads) -> None:
        block = self._block[grains]
        if ((block >= 0) & (block != threads.block)).any():
            raise AccessError("access races with that of another block")
