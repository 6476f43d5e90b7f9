"""Reading and writing in background threads, so that the network does not wait for them.

FFmpeg and Pillow release Python's lock while they work. Errors are raised where the frames are
taken, and an error or Ctrl-C in the block ends the threads before it propagates.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_END = object()


@contextmanager
def reading_ahead(
    items: Iterable[T], ahead: int, stop: Callable[[], None] | None = None
) -> Iterator[Iterator[T]]:
    """Iterate in a background thread.

    Args:
        items: iterated by that thread only.
        ahead: maximum number of items read in advance.
        stop: is called at the end of the block, to wake up a thread that waits for an item.

    Yields:
        The items in order.
    """
    with _one_thread() as thread:
        source = iter(items)

        def request() -> Future[object]:
            return thread.submit(next, source, _END)

        def items_in_order() -> Iterator[T]:
            requested = deque(request() for _ in range(ahead))
            while (item := requested.popleft().result()) is not _END:
                requested.append(request())
                yield item  # type: ignore[misc]

        try:
            yield items_in_order()
        finally:
            if stop is not None:
                stop()


@contextmanager
def writing_behind(write: Callable[[T], None], behind: int) -> Iterator[Callable[[T], None]]:
    """Write in a background thread.

    Args:
        write: called by that thread only, with one item after the other.
        behind: maximum number of items that wait to be written.

    Yields:
        A function that takes an item; it blocks while too many wait. All items are written when
            the block ends.
    """
    with _one_thread() as thread:
        pending: deque[Future[None]] = deque()

        def put(item: T) -> None:
            while pending and (pending[0].done() or len(pending) == behind):
                pending.popleft().result()  # raises an error of the thread as soon as it is known
            pending.append(thread.submit(write, item))

        yield put
        while pending:
            pending.popleft().result()


@contextmanager
def _one_thread() -> Iterator[ThreadPoolExecutor]:
    thread = ThreadPoolExecutor(1)
    try:
        yield thread
    finally:
        thread.shutdown(cancel_futures=True)
