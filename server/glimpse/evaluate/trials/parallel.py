"""Runs trials side by side, and divides the processors among them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from glimpse.backbone import cores

Item = TypeVar("Item")
Result = TypeVar("Result")
# Each trial holds several matrices of d x d or N x N.
_MOST_THREADS = 8


def run_parallel(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yields `work(item)` of each item, in their order.

    Matrices of one trial are small for several threads of BLAS: on two cores they take twice the processor time of one
    thread. NumPy releases the interpreter's lock in them, so threads of trials do run side by side. Where there are
    fewer trials than processors, BLAS gets the others.
    """
    workers = max(1, min(cores(), _MOST_THREADS, len(items)))
    each = max(1, cores() // workers)
    # Some libraries keep the number for each thread, and others one for the process, which is restored at the end.
    pool = ThreadPoolExecutor(workers, initializer=threadpool_limits, initargs=(each, "blas"))
    try:
        with threadpool_limits(each, user_api="blas"):
            yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
