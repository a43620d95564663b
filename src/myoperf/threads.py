"""The same work on several things at once, on as many processors as this process may use."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Done = TypeVar("Done")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """Return how many threads to use: ``OMP_NUM_THREADS`` where it is set, else the cores this process may use.

    A cohort runs one process a processor with ``OMP_NUM_THREADS=1``: nothing is then done in threads.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdigit() and int(given) > 0:
        return int(given)
    return usable_cores()


def in_threads(function: Callable[[Item], Done], items: Sequence[Item]) -> list[Done]:
    """Return the function's results, in order.

    Worth it where most of the time passes in compiled code that lets other threads run (`myoperf.recon`, the kernels of
    `myoperf.ventricle`, scipy, torch). The function must not share random numbers between items.
    """
    workers = min(threads(), len(items))
    if workers < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep every matrix product inside the block, or the decorated function, in the thread that asks for it.

    The products here are small, and several threads ask for them at once (`in_threads`). The threads of a BLAS library
    would wait for each other at full speed: a study took twice the processor time, and longer by the clock.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
