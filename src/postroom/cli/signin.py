"""``postroom connection signin|signout|signins``: a person signs in by OAuth, or out."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs
from postroom.clock import rfc3339, timestamp

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.signins import SignedInAs

__all__ = ["app"]

app = Verbs()

Name = Annotated[str, typer.Argument(help="Name of the connection.")]
Left = Annotated[
    str,
    typer.Argument(help="Name of the connection, or an account that no connection signs in as."),
]
_MARGIN = 2  # light modules around a QR code: fewer than its standard says, enough for cameras


@app.verb()
def signin(
    name: Name,
    how: Annotated[
        Literal["device", "browser"] | None,
        typer.Option(
            "--how",
            help="device: a code typed elsewhere; browser: on this machine. Default: as saved.",
        ),
    ] = None,
) -> None:
    """Sign in by OAuth as the account of a connection; once, until somebody revokes it."""

    async def body(room: Room) -> list[SignedInAs]:
        async with _counting() as told:

            def tell(step: Any) -> None:
                told.append(_ends(step))
                _show_step(step)

            return await room.signins.sign_in(name, tell, how=how)

    for done in in_room(body):
        who = done.identity or done.account or "an account that the server does not name"
        served = ", ".join(done.connections)
        show.say(f"Signed in as {who}, for {served}.", **done.as_json())
        if done.extra:
            show.note(f"Note: granted besides, without being asked for: {', '.join(done.extra)}.")
    show.note(f"Test it: postroom connection test {name}")


@app.verb()
def signout(name: Left) -> None:
    """Revoke the sign-in of a connection at the server, and forget its tokens."""
    revoked = in_room(lambda room: room.signins.sign_out(name))
    at_server = (
        "The server has revoked it."
        if revoked
        else "The server was not told: it has no way to revoke, or did not answer. Remove the app "
        "in the account's settings there too."
    )
    show.say(f"Signed out of {name}. {at_server}", connection=name, revoked=revoked)


@app.verb()
def signins() -> None:
    """Every sign-in by OAuth: who, its state, when a token came last, which connections it serves."""
    show.items(
        in_room(lambda room: room.signins.list()),
        (
            ("account", "ACCOUNT"),
            ("client_id", "CLIENT"),
            ("authority", "AUTHORITY"),
            ("state", "STATE"),
            ("refreshed_at", "LAST TOKEN"),
            ("connections", "CONNECTIONS"),
            ("note", "PROBLEM"),
        ),
        empty="Nobody has signed in by OAuth. Sign in with: postroom connection signin NAME",
        give=("authority", "note", "connections"),
    )


def _ends(step: Any) -> float:
    """When a step is over, in seconds since 1970."""
    expires: float | None = getattr(step, "expires_at", None)
    return expires if expires is not None else step.begun_at + 600.0


def _show_step(step: Any) -> None:
    """What the person has to do.  It goes to standard error: the answer is what comes in the end."""
    until = rfc3339(_ends(step))
    if not hasattr(step, "user_code"):
        show.note("Open this address in a browser on this machine, and sign in:")
        show.note(f"  {step.url}")
        show.note(f"Waiting until {until}.")
        return
    show.note(f"Open {step.verification_uri} on any device, and type this code:")
    show.note(f"  {step.user_code}")
    if sys.stderr.isatty() and not OPTIONS.json:
        print(_qr(step.verification_uri_complete or step.verification_uri), file=sys.stderr)
    show.note(f"Waiting until {until}. Only the owner of the account should type it.")


def _qr(address: str) -> str:
    import segno  # only this needs it

    drawn = io.StringIO()
    segno.make(address, error="m").terminal(drawn, border=_MARGIN, compact=True)
    return drawn.getvalue()


@contextlib.asynccontextmanager
async def _counting() -> AsyncIterator[list[float]]:
    """While it is open, a terminal counts the time down to the instant that is put into the list."""
    until: list[float] = []

    async def count() -> None:
        while True:
            await asyncio.sleep(1)
            if until:
                left = max(0, round(until[-1] - timestamp()))
                print(
                    f"\r  {left // 60}:{left % 60:02} left  ", end="", file=sys.stderr, flush=True
                )

    counting = sys.stderr.isatty() and not OPTIONS.json
    task = asyncio.create_task(count()) if counting else None
    try:
        yield until
    finally:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            print("\r" + " " * 20 + "\r", end="", file=sys.stderr, flush=True)
