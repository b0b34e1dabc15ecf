"""Work on other threads, ahead of who uses its results."""

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# Decoders that run beside the network, one for each core.
NUM_THREADS = min(16, os.cpu_count() or 1)


def run(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    num_threads: int,
    num_ahead: int,
) -> Iterator[Any]:
    """As `map`, on threads, a bounded number of results ahead.

    Args:
        function: what it raises is raised at its place.
        items: taken as they are needed, on the thread that asks.
        num_threads: how many run the function at a time.
        num_ahead: results that are made before they are asked for.
    """
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    pending: collections.deque = collections.deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > num_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
