"""Runs trials side by side: one thread a processor, each with a BLAS of one thread."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from glimpse.backbone import cores

Item = TypeVar("Item")
Result = TypeVar("Result")
# Each trial holds several matrices of d x d or N x N.
_MOST_THREADS = 8


def run_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yields `work(item)` of each item, in their order.

    Matrices of one trial are too small for several threads of BLAS: on two cores they take twice the processor time of
    one thread, and no less time. NumPy releases the interpreter's lock in them, so threads of trials do run side by
    side.
    """
    # Some libraries keep the number for each thread, and others one for the process, which is restored at the end.
    pool = ThreadPoolExecutor(min(cores(), _MOST_THREADS), initializer=threadpool_limits, initargs=(1, "blas"))
    try:
        with threadpool_limits(1, user_api="blas"):
            yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
