"""``myoperf serve``: the reading room."""

from pathlib import Path
from typing import Annotated

import typer

from myoperf.cli.app import app
from myoperf.errors import InputError


@app.command()
def serve(
    data: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of the reading room, with its database and files.")
    ] = Path("myoperf-room"),
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; readers on other machines need the token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Port to listen on.")] = 8180,
    db: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Database to use instead of SQLite in the folder, such as postgresql://..."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="MYOPERF_TOKEN", metavar="TEXT", help="Access token; if none is given, one is made and shown."
        ),
    ] = None,
    backup: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Copy the reading room, even while it is running, to a new folder, then exit."
        ),
    ] = None,
) -> None:
    """Open the reading room in a browser: upload studies, see them move, correct, score and sign them."""
    try:
        from myoperf.web.room import back_up
        from myoperf.web.server import serve as run
    except ModuleNotFoundError as missing:
        raise InputError(f"The reading room needs {missing.name}: pip install 'myoperf[web]'.") from None
    if backup is not None and db is not None:
        raise InputError(
            "--backup copies the database in the room's folder. Of another database make a dump first (pg_dump), then "
            f"copy {data.name}/files: what the dump names was written before it."
        )
    if backup is not None:
        typer.echo(f"{back_up(data, backup)} studies copied to {backup}")
        return
    run(data, host=host, port=port, url=db, token=token, say=typer.echo)
