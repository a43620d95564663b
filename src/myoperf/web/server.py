"""A reading room that runs: server, workers, and the lock that keeps a second one out of its folder."""

import ipaddress
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from myoperf.errors import InputError
from myoperf.files import lock_destination
from myoperf.web.app import create_app
from myoperf.web.room import check_room, open_room
from myoperf.web.security import LOCAL, Access, read_secret
from myoperf.web.worker import Workers

_GRACE_S = 3
"""For how long a server that is stopped waits for requests, such as an upload whose sender is gone."""


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8180,
    url: str | None = None,
    token: str | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Run a reading room until it is stopped.

    Parameters
    ----------
    folder
        Where it keeps files and, unless `url` names another, its database.
    host
        Address to listen on. On any but this machine's own a reader needs the token.
    token
        Made and shown when None and needed.
    say
        Gets the address, and the token where it was made.

    Raises
    ------
    OutputExistsError
        When another server runs in this folder.
    InputError
        When files are missing that the database names.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_destination(folder / "room"):
        room = open_room(folder, url)
        missing = check_room(room)
        if missing:
            raise InputError(
                f"{missing} files of the room are missing in {folder.name}/files; restore them from a backup."
            )
        needed = not _is_local(host)
        if needed and token is None:
            token = secrets.token_urlsafe(24)
            say(f"token: {token}")
        hosts = (*LOCAL, host) if host not in ("0.0.0.0", "::") else (*LOCAL, *_own_names())
        access = Access(hosts=hosts, token=token or "", secret=read_secret(folder))
        workers = Workers(room, folder, url)
        workers.start()
        try:
            say(f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}/")
            with _closed_terminal_stops():
                uvicorn.run(
                    create_app(room, access),
                    host=host,
                    port=port,
                    log_level="warning",
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=_GRACE_S,
                )
        finally:
            workers.stop()
            room.engine.dispose()


@contextmanager
def _closed_terminal_stops() -> Iterator[None]:
    """Let a closed terminal stop the server in order, as SIGTERM does, unless its signal is ignored (nohup)."""
    before = signal.getsignal(signal.SIGHUP)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _is_local(host: str) -> bool:
    """Return whether an address reaches no other machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_names() -> tuple[str, ...]:
    """Return the names and addresses by which other machines may call this one."""
    import socket

    name = socket.gethostname()
    try:
        addresses = socket.gethostbyname_ex(name)[2]
    except OSError:
        addresses = []
    return (name, socket.getfqdn(), *addresses)
