"""What the reading room refuses, and with which HTTP status."""

from typing import ClassVar

from myoperf.errors import InputError, MyoPerfError


class RoomError(MyoPerfError):
    """Base of what the reading room refuses on purpose; `status` is the HTTP status of the answer."""

    code: ClassVar[str] = "room"
    status: ClassVar[int] = 400


class NotThereError(RoomError):
    """A study, an analysis or a file that is not in the room."""

    code = "not-there"
    status = 404


class ConflictError(RoomError):
    """Someone else changed the study first: load it again and repeat the change."""

    code = "conflict"
    status = 409


class SignedError(RoomError):
    """A signed study does not change any more; it can only be amended by an addendum."""

    code = "signed"
    status = 409


class TooLargeError(RoomError):
    """An upload beyond the limits of the room."""

    code = "too-large"
    status = 413


class RefusedError(RoomError):
    """A request without the right to be answered: another origin, no token, no reader's name."""

    code = "refused"
    status = 403


def status_of(error: MyoPerfError) -> int:
    """Return the HTTP status of an error: its own, 422 for input that cannot be used, else 500."""
    if isinstance(error, RoomError):
        return error.status
    return 422 if isinstance(error, InputError) else 500
