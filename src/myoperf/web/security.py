"""Who may ask what: every request is checked before any other code of the room runs.

- The name by which the server was called (``Host``) must be one of its own: a page elsewhere whose name resolves to
  this machine is not answered (DNS rebinding).
- A request that changes something must come from the room's own page: same ``Origin``, and a header that no form of
  another site can send.
- Everything under ``/api`` but the session itself needs the cookie of a session: a reader's name signed with the room's
  secret, and, where the room is reached from other machines, given against the token.
- A body may not be larger than its limit, whatever its header claims.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myoperf.files import whole_file
from myoperf.text import printable
from myoperf.web.errors import RefusedError, RoomError, TooLargeError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "myoperf_session"
MACHINE = "machine"
"""Stands where no reader did something; no reader may be called so."""
LOCAL = ("127.0.0.1", "localhost", "[::1]")
_SESSION_S = 12 * 3600
_SAFE = ("GET", "HEAD", "OPTIONS")
_BODY_BYTES, _LIST_BYTES = 1 << 20, 32 << 20
"""Of a request, and of the list of an upload's files."""
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer that does not set its own."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who is let in.

    Attributes
    ----------
    hosts
        Names by which the server may be called, without port.
    token
        What a reader must know to get a session; empty on this machine alone.
    secret
        Signs the sessions.
    upload_bytes
        Largest file that may be uploaded.
    """

    hosts: tuple[str, ...] = LOCAL
    token: str = ""
    secret: bytes
    upload_bytes: int = 2 << 30

    def open_session(self, reader: str, token: str) -> str:
        """Return the cookie of a new session.

        Raises
        ------
        RefusedError
            For another token, or a name that is empty or too long.
        """
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise RefusedError("The token is not that of this room; it was shown where the room was started.")
        name = printable(reader)
        if not 0 < len(name) <= 60:
            raise RefusedError("Give your name (1 to 60 letters): it is kept with what you change and sign.")
        if name.casefold() == MACHINE:
            raise RefusedError(f"The name {MACHINE} stands for analyses without a reader; give your own.")
        body = f"{name.encode().hex()}.{int(time.time()) + _SESSION_S}"
        return f"{body}.{self._sign(body)}"

    def reader_of(self, cookie: str) -> str | None:
        """Return the name that a session's cookie was given to; None where it is not valid any more."""
        body, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        name, _, until = body.partition(".")
        return bytes.fromhex(name).decode() if int(until) > time.time() else None

    def _sign(self, body: str) -> str:
        key = self.secret + self.token.encode()  # another token ends all sessions
        return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


def read_secret(folder: Path) -> bytes:
    """Return the secret of a room's folder, made when there is none."""
    path = folder / "secret"
    if not path.exists():
        with whole_file(path) as partial:
            partial.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


class Guard:
    """Checks every request, limits its body, and completes the headers of every answer."""

    def __init__(self, app: Asgi, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        limits = {"/api/files": self._access.upload_bytes, "/api/uploads": _LIST_BYTES}
        limit = limits.get(scope["path"], _BODY_BYTES)
        announced = headers.get("content-length", "")
        try:
            self._check(scope, headers)
            if announced.isdecimal() and int(announced) > limit:  # before gigabytes are sent for nothing
                raise _too_large(limit)
        except RoomError as error:
            await _refuse(error, send)
            return
        try:
            await self._app(scope, _limited(receive, limit), _completed(send))
        except asyncio.CancelledError:  # the server stops, and waits no longer for the rest of an upload
            await _refuse(_StoppedError("The room was stopped; send it again when it runs."), send)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        """Raise unless the request may be answered; its reader's name goes into the scope."""
        host = headers.get("host", "")
        if host.rsplit(":", 1)[0] not in self._access.hosts and host not in self._access.hosts:
            raise RefusedError("The server does not answer to this name; use the address that it showed at its start.")
        if scope["method"] not in _SAFE:
            origin = headers.get("origin")
            if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
                raise RefusedError("The request comes from another site.")
            if headers.get("sec-fetch-site", "same-origin") != "same-origin" or "x-myoperf" not in headers:
                raise RefusedError("The request does not come from the room's own page (header X-MyoPerf).")
        if scope["path"].startswith("/api/") and scope["path"] != "/api/session":
            reader = self._access.reader_of(session_cookie(headers.get("cookie", "")))
            if reader is None:
                raise _NoSessionError("Say who you are first; a session lasts twelve hours.")
            scope.setdefault("state", {})["reader"] = reader


class _NoSessionError(RefusedError):
    code = "no-session"
    status = 401


class _StoppedError(RoomError):
    code = "stopped"
    status = 503


def session_cookie(header: str) -> str:
    """Return the session's value from a ``Cookie`` header; empty where there is none."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _limited(receive: Receive, limit: int) -> Receive:
    """Return a function that receives a request and ends it with an error when its body grows beyond a limit."""
    size = 0

    async def receive_some() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return receive_some


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The request may have at most {limit >> 20} MiB.")


def _completed(send: Send) -> Send:
    """Return a function that adds the room's headers to an answer that does not set its own."""

    async def send_completed(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            more = [(n.encode(), v.encode()) for n, v in _HEADERS.items() if n.encode() not in given]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return send_completed


async def _refuse(error: RoomError, send: Send) -> None:
    """Answer with an error as JSON."""
    body = json.dumps({"code": error.code, "message": str(error)}).encode()
    headers = [(b"content-type", b"application/json"), *((n.encode(), v.encode()) for n, v in _HEADERS.items())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
