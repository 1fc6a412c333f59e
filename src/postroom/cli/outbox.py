"""``postroom outbox``: what is waiting to be sent, and what became of what was sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from postroom.cli import show
from postroom.cli.newfile import new_file
from postroom.cli.options import OPTIONS
from postroom.cli.run import confirm, in_room
from postroom.cli.verbs import Verbs
from postroom.clock import rfc3339
from postroom.errors import TRY_AGAIN, WrongUse

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["A_WORKER", "app", "nobody_sends", "show_item"]

A_WORKER: Final = "A worker sends it, or now: postroom outbox drain"

AT_ONCE: Final = 5000
"""Items that --all reads at a time."""

app = Verbs("The outbox: what waits to be sent, and what became of what was sent.")

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the item, or its beginning.")]
Service = Annotated[str, typer.Option(metavar="NAME", help="Only of this service.")]

Some = Annotated[str, typer.Argument(metavar="ID", help="Id of the item, or its beginning.")]
Several = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Ids of items, or their beginnings.")
]
Restored = Annotated[bool, typer.Option("--restored", help="What a restored room holds.")]
Party = Annotated[
    str, typer.Option(metavar="ADDRESS", help="A recipient; @example.com: any there.")
]
Before = Annotated[
    str, typer.Option(metavar="WHEN", help="Stored before then: 1h, 5d, 2027-01-31.")
]


@app.verb("list")
def list_(
    service: Service = "",
    state: Annotated[str, typer.Option(help="Only these, separated by commas.")] = "",
    unsettled: Annotated[
        bool, typer.Option("--unsettled", help="What failed or is in doubt, and nobody settled.")
    ] = False,
    to: Party = "",
    from_: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="Envelope sender, or a part of it.")
    ] = "",
    message_id: Annotated[
        str, typer.Option("--message-id", metavar="ID", help="With or without < and >.")
    ] = "",
    run: Annotated[
        str, typer.Option(metavar="RUN", help="Sent by that run: its id, or the beginning of it.")
    ] = "",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Stored since then: 1h, 5d, 2027-01-31.")
    ] = "",
    before: Before = "",
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", help="So many at most.", min=1)] = 50,
    after: Annotated[str, typer.Option(metavar="ID", help="Go on behind this item.")] = "",
    every: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
) -> None:
    """Items that meet every option that is given, newest first, 50 at a time."""
    states = [part.strip() for part in state.split(",") if part.strip()]
    wanted: dict[str, Any] = {
        "service": service or None, "states": states, "unsettled": unsettled,
        "to": to, "from_": from_, "message_id": message_id, "run": run,
        "since": since or None, "before": before or None, "oldest": oldest,
    }  # fmt: skip

    async def body(room: Room) -> _Listed:
        page = await room.outbox.list(
            **wanted, limit=AT_ONCE if every else limit, after=after or None
        )
        found, total = list(page), page.total
        while every and page.next:
            page = await room.outbox.list(**wanted, limit=AT_ONCE, after=page.next)
            found += page
        return _Listed(
            found,
            page.next,
            total,
            page.unsettled,
            await room.outbox.unattended(service or None),
        )

    _show_list(in_room(body), narrowed=any(wanted.values()), asked=unsettled)


class _Listed(NamedTuple):
    items: list[Any]
    next: str | None
    total: int
    unsettled: int
    unattended: list[dict[str, Any]]


def _show_list(found: _Listed, *, narrowed: bool, asked: bool) -> None:
    show.items(
        [{**one.as_json(), "to": [each.address for each in one.recipients]} for one in found.items],
        (
            ("id", "ID"),
            ("service", "SERVICE"),
            ("state", "STATE"),
            ("to", "TO"),
            ("subject", "SUBJECT"),
            ("attempts", "TRIES"),
            ("reason", "REASON"),
            ("settled", "SETTLED"),
        ),
        empty="No such message." if narrowed else "No message was sent yet.",
        give=("to", "subject", "reason", "settled"),
        next=found.next,
        total=found.total,
        unsettled=found.unsettled,
        unattended=found.unattended,
    )
    if found.next:
        show.note(
            f"{len(found.items):,} of {found.total:,} shown; more with --all, or with "
            f"--after {found.next}"
        )
    for one in found.unattended:
        show.note(_unattended(one))
    if found.unsettled and not asked:
        show.note(
            f"{found.unsettled:,} failed or in doubt, and not settled: postroom outbox list --unsettled"
        )


def _unattended(one: Mapping[str, Any]) -> str:
    return f"Service {one['service']}, {one['waiting']:,} waiting. {one['note']}"


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
def save(
    item: Id,
    to: Annotated[Path, typer.Option(metavar="FILE", help="A new file.")],
) -> None:
    """Write the exact bytes of an item into a new file (message/rfc822)."""
    with new_file(to) as write:
        content = in_room(lambda room: room.outbox.content(item))
        write(content)
    show.say(f"{to} has {show.size(len(content))}.", item=item, path=str(to), size=len(content))


@app.verb()
def drain(
    service: Service = "",
    role: Annotated[
        list[str] | None, typer.Option(help="Also what is for this role; several times.")
    ] = None,
) -> int:
    """Send what is due now, and exit: 0 all sent, 1 something failed, 75 something waits."""
    roles = tuple(role or ())

    async def body(room: Room) -> int:
        await room.outbox.waiting(service or None)  # raises where there is no such service
        done = await room.email.dispatch([service] if service else None, roles=roles)
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
        for one in await room.outbox.unattended(service or None, roles=roles):
            show.note(_unattended(one))
        uncopied = await room.email.copy([service] if service else None, roles=roles)
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
        _let_go(lambda room: room.outbox.release(item))
        return
    _check_which(item, service, restored)

    async def body(room: Room) -> int:
        done = await room.outbox.release_held(service=service or None, restored=restored)
        show.say(f"{_many(done)} let go.", released=done)
        if done:
            show.note(await nobody_sends(room, service or None) or A_WORKER)
        if not restored and (kept := await room.outbox.waiting(service or None, under_runs=True)):
            show.note(f"{kept:,} stay held until their runs are over: postroom outbox list")
        return done

    in_room(body)


@app.verb()
def retry(item: Id) -> None:
    """Try a failed, deferred or ambiguous message again, for those who have not got it."""
    _let_go(lambda room: room.outbox.retry(item))


@app.verb()
def cancel(item: Some = "", service: Service = "", restored: Restored = False) -> None:
    """Take a message out of the queue for good; or every held one of a service, or of a restore.

    Of a service that is held (postroom service hold) everything that waits is meant.
    """
    if item and not (service or restored):
        _shifted(in_room(lambda room: room.outbox.cancel(item)))
        return
    _check_which(item, service, restored)
    which = " that a restore holds" if restored else ""
    which += f" of service {service}" if service else ""
    if not confirm(f"Never send the held messages{which}?"):
        raise WrongUse("Nothing was cancelled.", hint="Confirm it with --yes.")

    async def body(room: Room) -> None:
        done = await room.outbox.cancel_held(service=service or None, restored=restored)
        show.say(f"{_many(done)} cancelled.", cancelled=done)
        waiting = await room.outbox.waiting(service) if service and not restored else 0
        if waiting:
            show.note(
                f"{waiting} not held. To cancel these too, hold the service, then cancel again: "
                f"postroom service hold {service}"
            )

    in_room(body)


@app.verb()
def settle(items: Several = None, service: Service = "", before: Before = "") -> None:
    """Say that somebody has dealt with messages that failed or are in doubt; they are no longer counted.

    They stay in the list, with who settled them and when; retry opens one again.
    """
    if items and not (service or before):
        found = in_room(lambda room: room.outbox.settle(items))
        for one in found if not OPTIONS.json else ():
            print(show.said(f"{one.id} is settled; it stays {one.state}."))
        if OPTIONS.json:
            show.items([one.as_json() for one in found], (), empty="")
        return
    if items:
        raise WrongUse("Give IDs, or say which are meant by --service and --before.")
    if not service and not before:
        raise WrongUse(
            "Which messages?",
            hint="Give their IDs, or --service NAME for all of one. List them: postroom outbox list "
            "--unsettled",
        )
    which = (f" of service {service}" if service else "") + (f" before {before}" if before else "")
    if not confirm(f"Settle all that failed or is in doubt{which}?"):
        raise WrongUse("Nothing was settled.", hint="Confirm it with --yes.")
    done = in_room(
        lambda room: room.outbox.settle_all(service=service or None, before=before or None)
    )
    show.say(f"{done:,} settled." if done else "Nothing was unsettled.", settled=done)


async def nobody_sends(room: Room, service: str | None) -> str:
    """What to do where mail of a service (None: of any) waits and no worker is there; else empty."""
    return next((str(one["note"]) for one in await room.outbox.unattended(service)), "")


def _let_go(change: Callable[[Room], Awaitable[Any]]) -> None:
    async def body(room: Room) -> tuple[Any, str]:
        item = await change(room)
        return item, await nobody_sends(room, item.service)

    item, note = in_room(body)
    _shifted(item, note=note)
    show.note(note or A_WORKER)


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


def _shifted(item: Any, **beside: Any) -> None:
    show.say(f"{item.id} is {item.state}.", **item.as_json(), **beside)


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
