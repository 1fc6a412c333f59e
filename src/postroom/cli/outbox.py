"""``postroom outbox``: what is waiting to be sent, and what became of what was sent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postroom.app import Room
from postroom.cli import show
from postroom.cli.run import in_room
from postroom.errors import TRY_AGAIN

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="The outbox.")

Id = Annotated[str, typer.Argument(help="Id of the item, or its beginning.")]


@app.command("list")
def list_(
    service: str = "",
    state: Annotated[str, typer.Option(help="Only these, separated by commas.")] = "",
    limit: int = 50,
) -> None:
    """Items, newest first."""
    states = [part.strip() for part in state.split(",") if part.strip()]
    found = in_room(
        lambda room: room.outbox.list(service=service or None, states=states, limit=limit)
    )
    rows = [{**one.as_json(), "to": [each.address for each in one.recipients]} for one in found]
    show.items(
        rows,
        (
            ("id", "ID"),
            ("service", "SERVICE"),
            ("state", "STATE"),
            ("to", "TO"),
            ("subject", "SUBJECT"),
            ("attempts", "TRIES"),
            ("reason", "REASON"),
        ),
        empty="The outbox is empty.",
    )


@app.command("show")
def show_(item: Id) -> None:
    """One item: its recipients with their replies, and every attempt."""

    async def body(room: Room) -> dict[str, Any]:
        found = await room.outbox.show(item)
        return {**found.as_json(), "tries": await room.outbox.attempts(found.id)}

    show.record(in_room(body))


@app.command()
def drain(service: str = "") -> int:
    """Send what is due now, and exit: 0 all sent, 1 something failed, 75 something waits."""

    async def body(room: Room) -> int:
        done = await room.email.dispatch([service] if service else None)
        show.record(
            {
                "sent": done.sent,
                "deferred": done.deferred,
                "failed": done.failed,
                "ambiguous": done.ambiguous,
            }
        )
        if done.error is not None:
            show.note(f"postroom: {done.error}")
        if done.failed or done.ambiguous:
            return 1
        return TRY_AGAIN if done.next_due is not None else 0

    return in_room(body)


@app.command()
def hold(item: Id) -> None:
    """Keep a waiting message back."""
    show.record(in_room(lambda room: room.outbox.hold(item)).as_json())


@app.command()
def release(item: Id) -> None:
    """Let a held message go."""
    show.record(in_room(lambda room: room.outbox.release(item)).as_json())


@app.command()
def retry(item: Id) -> None:
    """Try a failed, deferred or ambiguous message again, for those who have not got it."""
    show.record(in_room(lambda room: room.outbox.retry(item)).as_json())


@app.command()
def cancel(item: Id) -> None:
    """Take a message out of the queue for good."""
    show.record(in_room(lambda room: room.outbox.cancel(item)).as_json())
