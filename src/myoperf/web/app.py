"""The reading room's server: the page's files, sessions, and the routes of `myoperf.web.routes` behind a guard."""

import mimetypes
from importlib import resources

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from myoperf.errors import MyoPerfError, describe_error
from myoperf.web.errors import NotThereError, RoomError, status_of
from myoperf.web.room import Room
from myoperf.web.routes import router
from myoperf.web.security import COOKIE, Access, Asgi, Guard, session_cookie
from myoperf.web.trial_routes import router as trial_router


class Session(BaseModel):
    """Who reads, and the token where the room has one."""

    reader: str = Field(max_length=200)
    token: str = Field(default="", max_length=200)


def create_app(room: Room, access: Access) -> Asgi:
    """Return the server of a room, as an ASGI application.

    Parameters
    ----------
    room
        What it shows; `myoperf.web.worker.Workers` analyse in it.
    access
        Who is let in.
    """
    app = FastAPI(title="MyoPerf reading room", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.room, app.state.access = room, access
    app.include_router(router)
    app.include_router(trial_router)
    files = _page_files()

    @app.get("/api/session")
    def get_session(request: Request) -> dict[str, object]:
        reader = access.reader_of(session_cookie(request.headers.get("cookie", "")))
        return {"reader": reader, "token": bool(access.token)}

    @app.post("/api/session", status_code=204)
    def open_session(session: Session, response: Response) -> None:
        cookie = access.open_session(session.reader, session.token)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path="/", max_age=12 * 3600)

    @app.get("/")
    def get_page() -> Response:
        return _answer("index.html", files["index.html"])

    @app.get("/static/{name}")
    def get_static(name: str) -> Response:
        if name not in files:
            raise NotThereError("The page has no such file.")
        return _answer(name, files[name])

    app.add_exception_handler(MyoPerfError, _describe)
    app.add_exception_handler(RequestValidationError, _describe_invalid)
    app.add_exception_handler(Exception, _describe)
    return Guard(app, access)


def _page_files() -> dict[str, bytes]:
    """Return the page's files by name; requests choose from these, and no name of theirs reaches the disk."""
    folder = resources.files("myoperf.web") / "static"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}


def _answer(name: str, content: bytes) -> Response:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})


def _describe(_: Request, error: Exception) -> JSONResponse:
    """Answer with an error's code and its one line."""
    code = error.code if isinstance(error, MyoPerfError) else "internal"
    message = str(error) if isinstance(error, MyoPerfError) else describe_error(error)
    status = status_of(error) if isinstance(error, RoomError | MyoPerfError) else 500
    return JSONResponse({"code": code, "message": message}, status_code=status)


def _describe_invalid(_: Request, error: Exception) -> JSONResponse:
    """Answer with the places of a request that are not as they must be; its values are not repeated."""
    assert isinstance(error, RequestValidationError)
    places = sorted({".".join(str(part) for part in one["loc"]) for one in error.errors()})
    message = f"The request is not as the room expects it: {', '.join(places)[:200]}."
    return JSONResponse({"code": "input", "message": message}, status_code=422)
