"""Reading and writing in threads of their own, so that the network need not wait for either.

FFmpeg and Pillow leave Python's lock alone while they work. Errors come out where the frames do,
and an error or Ctrl-C in the block ends the threads before it is passed on.
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
def reading_ahead(items: Iterable[T], ahead: int) -> Iterator[Iterator[T]]:
    """Iterate in a thread.

    Args:
        items: are asked for by that thread alone.
        ahead: how many wait to be taken at most.

    Yields:
        The items in order.
    """
    with _one_thread() as thread:
        source = iter(items)

        def ask() -> Future[object]:
            return thread.submit(next, source, _END)

        def taken() -> Iterator[T]:
            asked = deque(ask() for _ in range(ahead))
            while (item := asked.popleft().result()) is not _END:
                asked.append(ask())
                yield item  # type: ignore[misc]

        yield taken()


@contextmanager
def writing_behind(write: Callable[[T], None], behind: int) -> Iterator[Callable[[T], None]]:
    """Write in a thread.

    Args:
        write: is called by that thread alone, with one item after the other.
        behind: how many wait to be written at most.

    Yields:
        What takes an item; it waits while too many do. All are written when the block ends.
    """
    with _one_thread() as thread:
        given: deque[Future[None]] = deque()

        def give(item: T) -> None:
            if len(given) == behind:
                given.popleft().result()
            given.append(thread.submit(write, item))

        yield give
        while given:
            given.popleft().result()


@contextmanager
def _one_thread() -> Iterator[ThreadPoolExecutor]:
    thread = ThreadPoolExecutor(1)
    try:
        yield thread
    finally:
        thread.shutdown(cancel_futures=True)
