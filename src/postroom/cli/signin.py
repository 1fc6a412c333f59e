"""``postroom connection signin|signout|signins``: a person signs in by OAuth, or out."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import ask_plain, in_room, may_ask
from postroom.cli.verbs import Verbs
from postroom.clock import rfc3339, timestamp
from postroom.errors import WrongUse

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.personal import How, Way
    from postroom.operations.signins import SignedInAs

__all__ = ["app", "reaching", "show_signed_in", "signed_in"]

app = Verbs()

Name = Annotated[str, typer.Argument(help="Name of the connection.")]
Left = Annotated[
    str,
    typer.Argument(help="Name of the connection, or an account that no connection signs in as."),
]
_LONGEST_ADDRESS: Final = 20_000
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
    link: Annotated[
        bool,
        typer.Option("--link", help="An address for the owner of the mailbox, for any machine."),
    ] = False,
    answer_from_stdin: Annotated[
        bool,
        typer.Option("--answer-from-stdin", help="With --link: read where their browser ended."),
    ] = False,
) -> None:
    """Sign in by OAuth as the account of a connection; once, until somebody revokes it.

    With --link the owner of the mailbox, who needs no access to this machine, opens an address and signs
    in: once, within 30 minutes, and as nobody but the account. Their browser then ends at an address that
    does not load; it is copied from the address bar and pasted here. Without this command, which keeps
    the other half, that address is of no use to anybody.
    """
    if how is not None and link:
        raise WrongUse("--how and --link are two ways to do one thing: give one of them.")
    if answer_from_stdin and not link:
        raise WrongUse("--answer-from-stdin goes with --link.")
    show_signed_in(
        in_room(lambda room: signed_in(room, name, "link" if link else how, answer_from_stdin))
    )
    show.note(f"Test it: postroom connection test {name}")


async def signed_in(
    room: Room, name: str, how: How | None, answer_from_stdin: bool = False
) -> list[SignedInAs]:
    """Sign in for a connection, with a terminal that counts the time down."""
    async with reaching(how, answer_from_stdin) as way:
        return await room.signins.sign_in(name, way.tell, how=way.how, paste=way.paste)


def show_signed_in(found: Iterable[SignedInAs]) -> None:
    """Who signed in, and for what."""
    for done in found:
        who = done.identity or done.account or "an account that the server does not name"
        served = ", ".join(done.connections)
        show.say(f"Signed in as {who}, for {served}.", **done.as_json())
        if done.extra:
            show.note(f"Note: granted besides, without being asked for: {', '.join(done.extra)}.")


@contextlib.asynccontextmanager
async def reaching(how: How | None, answer_from_stdin: bool = False) -> AsyncIterator[Way]:
    """The way to a person at this terminal, while it is open."""
    from postroom.operations.personal import Way

    link = how == "link"
    async with _counting() as told:

        def tell(step: Any) -> None:
            if not link:
                told.append(step.expires_at)
            _show_step(step, link=link)

        async def paste(step: Any) -> str:
            return _pasted(answer_from_stdin)  # nothing else runs that could not wait

        yield Way(tell, how, paste)


def _pasted(from_stdin: bool) -> str:
    """The address that the owner's browser ended at; it opens nothing without this process."""
    if from_stdin:
        return sys.stdin.readline(_LONGEST_ADDRESS)
    if not may_ask():
        raise WrongUse(
            "Nobody is here to paste the answer.", hint="Give it with --answer-from-stdin."
        )
    return ask_plain("The address where their browser ended")


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


def _show_step(step: Any, *, link: bool = False) -> None:
    """What the person has to do.  It goes to standard error: the answer is what comes in the end."""
    until = rfc3339(step.expires_at)
    who = f" as {step.account}" if step.account else ""
    if link:
        show.note(
            f"Send this address to the owner of {step.account}. It is good once, for "
            f"{step.lifetime / 60:.0f} minutes:"
        )
        show.note(f"  {step.url}")
        show.note(
            f"They open it, sign in{who}, and agree. Then their browser shows an address that begins "
            f"with {step.redirect_uri} and does not load: they copy it whole from the address bar and "
            "send it back."
        )
        return
    if not hasattr(step, "user_code"):
        show.note(f"Open this address in a browser on this machine, and sign in{who}:")
        show.note(f"  {step.url}")
        show.note(f"Waiting until {until}. On another machine: --link in the place of this.")
        return
    show.note(f"Open {step.verification_uri} on any device, and type this code:")
    show.note(f"  {step.user_code}")
    if sys.stderr.isatty() and not OPTIONS.json:
        print(_qr(step.verification_uri_complete or step.verification_uri), file=sys.stderr)
    show.note(f"Sign in there{who}. Waiting until {until}.")
    show.note(
        "Only the owner of the account should type it, and never because a message asked them to."
    )


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
