"""Worker processes: they take jobs from the queue, one at a time, and survive each other and the server.

One process analyses studies; another measures corrections, so that a reader never waits behind an analysis.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path

from myoperf.errors import describe_error, silent_libraries
from myoperf.web.analysis import Analyse, Analyst
from myoperf.web.queue import announce, anything_queued, claim, fail, finish, forget, take_up_again
from myoperf.web.room import Room, open_room

ANALYSES, CORRECTIONS = ("analyze", "complete"), ("correct", "prepare")
"""Kinds of jobs that one process does."""
_PAUSE_S = 0.1
_PATIENCE = 10
"""By how much analyses give way to corrections, for which a reader waits, and to the server (see nice(1))."""
_ANNOUNCE_S = 0.5
"""Progress is written at most this often; the database waits for the disk each time."""


def work(room: Room, kinds: tuple[str, ...], analyse: Analyse, *, goes_on: Callable[[], bool]) -> None:
    """Do jobs of some kinds as they come, until `goes_on` returns False between two of them."""
    while goes_on():
        if not (anything_queued(room, kinds) and work_once(room, kinds, analyse)):
            time.sleep(_PAUSE_S)


def work_once(room: Room, kinds: tuple[str, ...], analyse: Analyse) -> bool:
    """Do the oldest job of some kinds, if there is one; return whether there was."""
    job = claim(room, kinds)
    if job is None:
        return False
    said = [0.0]

    def say(text: str) -> None:
        if time.monotonic() - said[0] > _ANNOUNCE_S:
            said[0] = time.monotonic()
            announce(room, job, text)

    try:
        if job.kind == "prepare":
            if isinstance(analyse, Analyst):
                analyse.prepare(room, job)
            forget(room, job)
        else:
            finish(room, job, analyse(room, job, say))
    except Exception as error:  # whatever an analysis raises is the study's, and the worker goes on
        fail(room, job, describe_error(error))
    return True


def run_worker(folder: Path, url: str | None, kinds: tuple[str, ...]) -> None:
    """Work until the process that started this one is gone, or ends this one."""
    os.umask(0o077)
    if kinds == ANALYSES and hasattr(os, "nice"):
        os.nice(_PATIENCE)
    threading.Thread(target=_end_with_server, daemon=True).start()
    with silent_libraries():
        work(open_room(folder, url), kinds, Analyst(), goes_on=lambda: True)


def _end_with_server() -> None:
    """End this process once the one that started it is gone, in the middle of a job too: the next start takes it up."""
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
    os._exit(0)


class Workers:
    """The worker processes of a room: started together, and started again when one ends by itself."""

    def __init__(self, room: Room, folder: Path, url: str | None = None) -> None:
        self._room, self._folder, self._url = room, folder, url
        self._ended = threading.Event()
        self._processes: dict[tuple[str, ...], SpawnProcess] = {}
        self._watch = threading.Thread(target=self._keep_running, daemon=True)

    def start(self) -> None:
        """Take up what an earlier server left unfinished, without its half-made files, and start the processes."""
        self._room.clear_scratch()
        take_up_again(self._room, (*ANALYSES, *CORRECTIONS), crashed=False)
        for kinds in (ANALYSES, CORRECTIONS):
            self._start(kinds)
        self._watch.start()

    def stop(self) -> None:
        """End the processes; what they were doing is taken up by the next start."""
        self._ended.set()
        self._watch.join()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.join()

    def _start(self, kinds: tuple[str, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=run_worker, args=(self._folder, self._url, kinds), daemon=True)
        process.start()
        self._processes[kinds] = process

    def _keep_running(self) -> None:
        while not self._ended.wait(1.0):
            for kinds, process in list(self._processes.items()):
                if not process.is_alive():
                    take_up_again(self._room, kinds, crashed=True)
                    self._start(kinds)
