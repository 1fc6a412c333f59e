"""``postroom serve``: the REST API, the web page and the worker of a room, in one process."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli import show
from postroom.cli.run import Asker, outside, told, upgraded
from postroom.cli.verbs import Verbs
from postroom.errors import RoomError

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.secret import Secret
    from postroom.settings import Settings

__all__ = ["app"]

app = Verbs()


@app.verb()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 is a free one.", min=0, max=65535)] = 8420,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name it is called by, such as mail.example.com; several times."),
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(help="PEM file: certificate chain, leaf first.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file: the key of --cert.")] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK", help="Whose X-Forwarded headers are believed; several times."
        ),
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="A role of this worker; several times.")
    ] = None,
    runs: Annotated[
        int,
        typer.Option(
            metavar="N", help="Runs of jobs at the same time; 0: no worker.", min=0, max=1000
        ),
    ] = 8,
) -> None:
    """Serve the room until Ctrl-C or SIGTERM: REST API, web page and worker in one process.

    A room of an earlier release is upgraded first; a copy of it is kept.  The first start prints an
    address where the first administrator chooses a password.
    """
    try:
        from postroom.serving.serve import Serving
        from postroom.serving.serve import serve as served
    except ImportError as error:
        raise RoomError(
            f"Serving needs {error.name}, which is not installed.",
            hint="Install it with: pip install 'postroom[server]'",
        ) from None
    how = Serving(
        host=host, port=port, names=tuple(name or ()), proxies=tuple(trusted_proxy or ()),
        certificate=cert, key=key, roles=tuple(role or ()), places=runs,
    )  # fmt: skip
    if (done := upgraded()) is not None:
        show.note(told(*done))

    async def body(settings: Settings, ask: Asker) -> None:
        from postroom.app import open_room

        async def opened(passphrase: Secret | None) -> Room:
            given = ask if passphrase is None else lambda _: passphrase
            return await open_room(settings, ask=given)

        with contextlib.suppress(asyncio.CancelledError):  # SIGTERM is how serving ends
            await served(opened, how, show.note)

    outside(body)
