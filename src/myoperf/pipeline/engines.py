"""Where jobs run: in this process, in processes of this machine, or on a Dask cluster.

An engine maps a function over items and yields each item with its outcome as it finishes. A process that dies takes
only the item it was working on with it: that item's outcome is `WorkerDied`. An error that the function raises stops
the map, as it would in a loop.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from myoperf.errors import InputError, MyoPerfError
from myoperf.pipeline.clock import resident_mb

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
"""Environment of a worker: one thread a process, so that N processes keep N cores busy and not more."""
_SIGNAL_S = 0.2
"""Pause after a worker's death: a signal to all processes (Slurm's scancel) ends this one too; no item is blamed."""


@dataclass(frozen=True)
class WorkerDied:
    """Outcome of an item whose process ended while it worked on the item; the reason says how."""

    reason: str


@dataclass(frozen=True)
class _Raised:
    """An error on its way from a worker to the process that asked."""

    error: BaseException


class Engine(Protocol):
    """Maps a function over items, in the order of their finishing."""

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result | WorkerDied]]:
        """Yield every item with what the function returned, or with `WorkerDied`."""


@dataclass(frozen=True)
class ThisProcess:
    """One item after the other, in this process: for functions that keep state, and for one processor."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Yield every item with what the function returned, in order."""
        for item in items:
            yield item, function(item)


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Processes of this machine, with one thread each.

    The function and the items travel to the processes by pickle. Whatever the function caches (loaded models) lives as
    long as its process.

    Parameters
    ----------
    workers
        Number of processes.
    memory_mb
        A process that holds more resident memory than this after an item is replaced by a fresh one.
    """

    workers: int
    memory_mb: float = 1000.0

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result | WorkerDied]]:
        """Yield every item with its outcome; a process whose item ends it is replaced."""
        waiting = iter(items)
        idle: list[_Worker[Item, Result]] = []
        busy: dict[Connection, _Worker[Item, Result]] = {}
        try:
            while True:
                for item in islice(waiting, self.workers - len(busy)):
                    worker = idle.pop() if idle else _Worker(function)
                    busy[worker.connection] = worker
                    worker.begin(item)
                if not busy:
                    return
                answered = wait(list(busy))
                for worker in [worker for connection, worker in busy.items() if connection in answered]:
                    answer = worker.receive()
                    if answer is None:
                        continue
                    del busy[worker.connection]
                    outcome, memory_mb = answer
                    if isinstance(outcome, WorkerDied) or memory_mb > self.memory_mb:
                        worker.stop()
                    else:
                        idle.append(worker)
                    if isinstance(outcome, _Raised):
                        raise outcome.error
                    yield worker.item, outcome
        finally:
            for worker in (*idle, *busy.values()):
                worker.stop()


class _Worker(Generic[Item, Result]):
    """A process that works on one item at a time, and the pipe to it."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy threads and locks of numerical libraries
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        with _environment(_ONE_THREAD):
            self.process.start()
        theirs.close()  # so that the end of the process ends the pipe
        self.loaded = False

    def begin(self, item: Item) -> None:
        """Send the item; a process that is gone already is noticed by `receive`."""
        self.item = item
        with suppress(OSError):
            self.connection.send(item)

    def receive(self) -> tuple[Result | WorkerDied | _Raised, float] | None:
        """Return the item's outcome and the memory that the process holds in MB, or None when it has only loaded."""
        try:
            answer: tuple[Result | _Raised, float] | None = self.connection.recv()
        except (EOFError, OSError):
            if not self.loaded:
                raise MyoPerfError(f"A process {self._end()} before it began; nothing could run.") from None
            time.sleep(_SIGNAL_S)
            return WorkerDied(f"its process {self._end()}"), 0.0
        self.loaded = True
        return answer

    def stop(self) -> None:
        """End the process at once; what it works on is lost."""
        self.connection.close()
        self.process.kill()
        self.process.join()
        self.process.close()

    def _end(self) -> str:
        """Return how the process ended, in words."""
        self.process.join()
        code = self.process.exitcode or 0
        if code == -signal.SIGKILL:
            return "was killed (often because memory ran out)"
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _serve(connection: Connection, function: Callable[[Item], Result]) -> None:
    """Work on items until the pipe or the parent ends. Runs in the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # the parent has gone
        connection.send(None)  # the function and all that it imports have loaded
        while True:
            connection.send((_outcome(function, connection.recv()), resident_mb()))


def _outcome(function: Callable[[Item], Result], item: Item) -> Result | _Raised:
    """Return what the function gives, or the error that it raises."""
    try:
        return function(item)
    except BaseException as error:
        error.add_note(traceback.format_exc())  # a traceback does not travel
        return _Raised(error)


def _end_with_parent() -> None:
    """End this process as soon as its parent is gone, so that a killed run leaves nobody writing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Set environment variables inside the block; processes that start there inherit them."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _dask_outcome(future: "Future[Result]") -> Result | WorkerDied:
    """Wait for what a Dask future gives and release it; raise what its function raised."""
    from distributed import KilledWorker

    try:
        result: Result = future.result()
        return result
    except KilledWorker:
        return WorkerDied("its processes were killed, time after time")
    finally:
        future.release()


@dataclass(frozen=True, kw_only=True)
class DaskEngine:
    """Workers of a Dask cluster: of a scheduler that runs already, or of one started on this machine.

    Dask gives the items of a worker that died to other workers, three times; then each is tried by itself at the end,
    and one whose workers die again has the outcome `WorkerDied`. Items and results travel by pickle; files must be on
    disks that all workers share. Start the workers with one thread each.

    Parameters
    ----------
    workers
        Number of processes of a cluster on this machine; not used with a scheduler.
    scheduler
        Address of a running scheduler, e.g. ``tcp://node:8786``; None for a cluster on this machine.
    """

    workers: int
    scheduler: str | None = None

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result | WorkerDied]]:
        """Yield every item with its outcome; few more items than workers are with the scheduler at a time."""
        from distributed import as_completed

        waiting = iter(items)
        suspects: list[Item] = []
        with self._client() as client:
            running = as_completed()
            item_of: dict[str, Item] = {}

            def top_up() -> None:
                wanted = 2 * max(1, sum(client.nthreads().values()))  # anew each time: clusters grow
                for item in islice(waiting, max(0, wanted - len(item_of))):
                    future = client.submit(function, item, pure=False)
                    item_of[future.key] = item
                    running.add(future)

            top_up()
            for future in running:
                item = item_of.pop(future.key)
                outcome: Result | WorkerDied = _dask_outcome(future)
                if isinstance(outcome, WorkerDied):
                    suspects.append(item)
                else:
                    yield item, outcome
                top_up()
            # Dask blames every item that a dead worker held, not only the one at work: each has a try of its own now.
            for item in suspects:
                yield item, _dask_outcome(client.submit(function, item, pure=False))

    @contextmanager
    def _client(self) -> "Iterator[Client]":
        """Connect to the scheduler, or start a cluster of processes with one thread each."""
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise InputError("The engine dask needs the package distributed: pip install 'myoperf[dask]'.") from None
        if self.scheduler is not None:
            try:
                client = Client(self.scheduler, timeout=20)
            except (OSError, TimeoutError, ValueError):
                raise InputError(
                    f"No Dask scheduler answers at {self.scheduler}; expected an address such as tcp://node:8786."
                ) from None
            with client:
                yield client
            return
        with (
            _environment(_ONE_THREAD),
            LocalCluster(
                n_workers=self.workers, threads_per_worker=1, memory_limit=0, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            # A killed worker whose restart fails on a busy machine is gone for good unless the cluster replaces it.
            cluster.adapt(minimum=self.workers, maximum=self.workers)
            yield client
