"""Compiled functions: numba's, kept on disk between runs wherever that is possible."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function at its first call and keeps the result on disk.

    The place is next to the source, or the user's cache, as numba chooses; where neither can be written to (a package
    that is read-only, no home), a private folder among the temporary files.

    Parameters
    ----------
    options
        Of `numba.njit`: ``nogil``, ``fastmath``, ``parallel``.
    """

    def compile_later(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            compiled: Callable[..., Any] = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no place for its cache
            numba.config.CACHE_DIR = str(temporary_cache())
            compiled = numba.njit(cache=True, **options)(function)
        return compiled

    return compile_later


def temporary_cache() -> Path:
    """Return a folder for compiled code that only this user can write to: what is in it is run.

    It is the same for every process of the user, so that code is compiled once, unless somebody else owns the name.
    """
    folder = Path(tempfile.gettempdir()) / f"myoperf-cache-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    state = folder.lstat()
    if stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="myoperf-cache-"))
