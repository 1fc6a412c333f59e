"""``postroom outbox``: what is waiting to be sent, and what became of what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import confirm, in_room
from postroom.cli.verbs import Verbs
from postroom.clock import rfc3339
from postroom.errors import TRY_AGAIN, WrongUse

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app", "show_item"]

app = Verbs("The outbox.")

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the item, or its beginning.")]
Service = Annotated[str, typer.Option(metavar="NAME", help="Only of this service.")]

Some = Annotated[str, typer.Argument(metavar="ID", help="Id of the item, or its beginning.")]
Restored = Annotated[bool, typer.Option("--restored", help="What a restored room holds.")]


@app.verb("list")
def list_(
    service: Service = "",
    state: Annotated[str, typer.Option(help="Only these, separated by commas.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", help="The newest of them.", min=1)] = 50,
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
        empty="No message" + (f" that is {' or '.join(states)}." if states else " was sent yet."),
        give=("to", "subject", "reason"),
    )


@app.verb("show")
def show_(item: Id) -> None:
    """One item: its recipients with their replies, and every attempt."""

    async def body(room: Room) -> dict[str, Any]:
        found = await room.outbox.show(item)
        return {**found.as_json(), "tries": await room.outbox.attempts(found.id)}

    found = in_room(body)
    if OPTIONS.json:
        show.record(found)
        return
    tries = found.pop("tries")
    show_item(found)
    if tries:
        print()
        show.items(tries, tuple((key, key.upper()) for key in tries[0]), empty="")


@app.verb()
def drain(service: Service = "") -> int:
    """Send what is due now, and exit: 0 all sent, 1 something failed, 75 something waits."""

    async def body(room: Room) -> int:
        done = await room.email.dispatch([service] if service else None)
        numbers = {
            "sent": done.sent,
            "deferred": done.deferred,
            "failed": done.failed,
            "ambiguous": done.ambiguous,
        }
        told = [f"{number} {state}" for state, number in numbers.items() if number]
        waiting = await room.outbox.waiting(service or None)
        if done.next_due is not None and waiting:
            wait = "1 waits" if waiting == 1 else f"{waiting} wait"
            told.append(f"{wait}, next at {rfc3339(done.next_due)}")
        show.say(f"{', '.join(told) or 'Nothing was due'}.", **numbers, waiting=waiting)
        if done.error is not None:
            show.note(f"postroom: {done.error}")
        for one in await room.services.list():
            if one["held"] and one["waiting"] and service in ("", one["name"]):
                show.note(
                    f"Service {one['name']} is held, {one['waiting']} waiting. Let it go: "
                    f"postroom service release {one['name']}"
                )
        uncopied = await room.email.copy([service] if service else None)
        if uncopied is not None:  # said, and no outcome of a send
            show.note(f"postroom: no copy in the Sent folder yet: {uncopied}")
        if done.failed or done.ambiguous:
            return 1
        return TRY_AGAIN if done.next_due is not None else 0

    return in_room(body)


@app.verb()
def hold(item: Id) -> None:
    """Keep a waiting message back."""
    _shifted(in_room(lambda room: room.outbox.hold(item)))


@app.verb()
def release(item: Some = "", service: Service = "", restored: Restored = False) -> None:
    """Let a held message go, all that are held of a service, or those that a restore holds."""
    if item and not (service or restored):
        _shifted(in_room(lambda room: room.outbox.release(item)), drain=True)
        return
    _check_which(item, service, restored)
    done = in_room(
        lambda room: room.outbox.release_held(service=service or None, restored=restored)
    )
    show.say(f"{_many(done)} let go.", released=done)
    if done:
        show.note("A worker sends what was let go, or now: postroom outbox drain")


@app.verb()
def retry(item: Id) -> None:
    """Try a failed, deferred or ambiguous message again, for those who have not got it."""
    _shifted(in_room(lambda room: room.outbox.retry(item)), drain=True)


@app.verb()
def cancel(item: Some = "", service: Service = "", restored: Restored = False) -> None:
    """Take a message out of the queue for good; or every held one of a service, or of a restore.

    Of a service that is held (postroom service hold) everything that waits is meant.
    """
    if item and not (service or restored):
        _shifted(in_room(lambda room: room.outbox.cancel(item)))
        return
    _check_which(item, service, restored)
    if not confirm("Every held message that is meant will never be sent. Go on?"):
        raise WrongUse("Nothing was cancelled.", hint="Confirm it with --yes.")
    done = in_room(lambda room: room.outbox.cancel_held(service=service or None, restored=restored))
    show.say(f"{_many(done)} cancelled.", cancelled=done)


def _check_which(item: str, service: str, restored: bool) -> None:
    if item:
        raise WrongUse("Give one ID, or say which are meant by --service and --restored.")
    if not service and not restored:
        raise WrongUse(
            "Which message?", hint="Give its ID, or --service NAME for all that are held of one."
        )


def _many(count: int) -> str:
    return {0: "Nothing was held; none was", 1: "1 message was"}.get(
        count, f"{count} messages were"
    )


def _shifted(item: Any, *, drain: bool = False) -> None:
    show.say(f"{item.id} is {item.state}.", **item.as_json())
    if drain:
        show.note("A worker sends it, or now: postroom outbox drain")


def show_item(item: Mapping[str, Any]) -> None:
    """An outbox item: JSON, or its fields and a line for each recipient."""
    if OPTIONS.json:
        show.record(item)
        return
    show.record(
        {
            **item,
            "size": show.size(item["size"]),
            "recipients": [_recipient(each) for each in item["recipients"]],
            "sent_copy": _copy(item["sent_copy"]),
        }
    )


def _copy(one: Mapping[str, Any] | None) -> str:
    """``failed: The mailbox is full.``; empty where there is none.

    Where nothing is wrong it ``follows``: most often it is there before anybody could look.
    """
    if one is None or one["state"] == "none":
        return ""
    if one["state"] == "waiting" and not one["said"]:
        return "follows"
    return f"{one['state']}: {show.plain(one['said'])}" if one["said"] else str(one["state"])


def _recipient(one: Mapping[str, Any]) -> str:
    """``bob@example.com: sent, 250 2.0.0 Ok``."""
    reply = " ".join(
        show.plain(part) for part in (one["code"], one["enhanced"], one["reply"]) if part
    )
    return f"{one['address']}: {one['state']}" + (f", {reply}" if reply else "")
