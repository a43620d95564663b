"""Compiled functions: numba's, kept on disk between runs wherever that is possible."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Compiled = TypeVar("Compiled", bound=Callable[..., Any])


def kernel(**options: Any) -> Callable[[Compiled], Compiled]:
    """Return a decorator that compiles a function at its first call and keeps the result on disk.

    The place is next to the source, or the user's cache, as numba chooses; where neither can be written to (a package
    that is read-only, no home), a private folder among the temporary files.

    Parameters
    ----------
    options
        Of `numba.njit`: ``nogil``, ``fastmath``, ``parallel``.
    """

    def compile_later(function: Compiled) -> Compiled:
        try:
            compiled = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no place for its cache
            setattr(numba.config, "CACHE_DIR", str(temporary_cache()))  # noqa: B010  (numba makes it at its import)
            compiled = numba.njit(cache=True, **options)(function)
        return cast("Compiled", compiled)

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
