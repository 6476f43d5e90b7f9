"""Rendering on all processor cores: many scenes at once, one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from flowdeblur.devices import one_thread_per_operation


def in_parallel(render: Callable[[int], np.void], count: int) -> Iterator[np.void]:
    """Yield the records 0 .. ``count`` - 1 in order, with a progress bar.

    As many are rendered at once as PyTorch would use threads per operation. Threads suffice:
    PyTorch and NumPy release the interpreter's lock; unlike processes they start at once and do not
    import the user's main module.
    """
    with one_thread_per_operation() as threads:
        pool = ThreadPoolExecutor(threads, thread_name_prefix="scenes")
        try:
            results = pool.map(render, range(count))
            yield from tqdm(results, "Rendering scenes", count, unit="scene", disable=None)
        finally:
            pool.shutdown(cancel_futures=True)
