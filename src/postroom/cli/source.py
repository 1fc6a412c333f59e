"""``postroom source``: which mail is collected, and what the ledger remembers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.entries import check_ids, show_page, show_whole
from postroom.cli.flags import changes_of, read_flags
from postroom.cli.helping import helping
from postroom.cli.options import OPTIONS
from postroom.cli.progress import collecting
from postroom.cli.run import agreed, confirm, in_room
from postroom.cli.usage import show_usage
from postroom.cli.verbs import Verbs
from postroom.clock import format_duration
from postroom.errors import TRY_AGAIN, PostroomError, WrongUse
from postroom.operations.declared import nouns

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs("Sources: mail collected into a sink (postroom explain source).")

Name = Annotated[str, typer.Argument(help="Name of the source.")]
Ids = Annotated[list[int] | None, typer.Argument(help="Ledger ids; none: all of them.")]


@app.verb("list")
def list_() -> None:
    """Every source and what it is doing."""
    rows = [one.as_json() for one in in_room(lambda room: room.sources.list())]
    if not OPTIONS.json:
        for one in rows:
            one["lag"] = _about(one["lag"])
    show.items(
        rows,
        (
            ("name", "NAME"),
            ("connection", "CONNECTION"),
            ("state", "STATE"),
            ("since", "SINCE"),
            ("lag", "LAG"),
            ("counts", "MESSAGES"),
            ("note", "NOTE"),
        ),
        empty="No sources yet. Make one: postroom source add NAME --connection NAME "
        "--set sink.type=directory --set sink.path=./mail",
        give=("counts", "note"),
    )


def _about(seconds: float) -> str:
    """``90s``, ``15m``, ``3h``, ``2d``; empty below a second."""
    for unit in (86400, 3600, 60):
        if seconds >= 2 * unit:
            return format_duration(seconds // unit * unit)
    return format_duration(int(seconds)) if seconds >= 1 else ""


@app.verb("show")
def show_(name: Name) -> None:
    """One source with every setting, what it is doing, and its counts."""
    _show(in_room(lambda room: room.sources.show(name)))


@app.verb(fields="source")
def add(ctx: typer.Context, name: Name) -> None:
    """Make a source."""
    given = read_flags(ctx.args, nouns()["source"])
    _saved(in_room(lambda room: room.sources.add({"name": name, **given.values})))


@app.verb("set", fields="source")
def set_(ctx: typer.Context, name: Name) -> None:
    """Change a source; --clear FIELD takes a value away."""
    changes = changes_of(read_flags(ctx.args, nouns()["source"]))
    _saved(in_room(lambda room: room.sources.set(name, changes)))


@app.verb()
def copy(name: Name, new_name: Annotated[str, typer.Argument(help="Name of the new one.")]) -> None:
    """Make another source with the same settings; it remembers nothing."""
    _saved(in_room(lambda room: room.sources.copy(name, new_name)))


@app.verb()
def delete(name: Name) -> None:
    """Delete a source and what it remembers; what it delivered stays where it is."""

    async def body(room: Room) -> None:
        await room.sources.delete(name, dry_run=True)
        agreed(f"Delete source {name} and what it remembers of every message?")
        await room.sources.delete(name)

    in_room(body)
    show.say(f"Deleted source {name}; what it delivered stays.", deleted=name)


@app.verb()
def usage(name: Name) -> None:
    """The worker that collects for a source, and its messages that are not finished."""
    show_usage("source", name, in_room(lambda room: room.sources.usage(name)))


@app.verb()
def run(
    name: Name,
    once: Annotated[bool, typer.Option("--once", help="One pass (the default).")] = True,
) -> int:
    """Collect once, here and now, and exit: 0 all done, 1 some failed or held, 75 stopped early."""

    async def body(room: Room) -> int:
        via = (await room.sources.show(name))["connection"]
        with helping(via), collecting(name) as progress:
            tally = await room.collecting.run(name, progress=progress)
        counts = await room.ledger.counts(name)
        if tally is None:
            status = (await room.sources.show(name))["status"]
            show.say(
                f"A worker owns source {name}; it was asked to look now.",
                source=name,
                asked=True,
                counts=counts,
                state=status["state"],
            )
            if status["state"] not in ("failed", "backing off", "waiting for sign-in"):
                return 0
            show.note(f"Until now it is {status['state']}: {status['note']}")
            return TRY_AGAIN
        sink = (await room.sources.show(name))["sink"]
        _tell(name, tally, counts, sink.get("path") or f"job {sink['job']}")
        return _status(counts, tally)

    return in_room(body)


def _tell(name: str, tally: Any, counts: dict[str, int], where: str) -> None:
    numbers = {
        "delivered": tally.delivered,
        "ignored": tally.ignored,
        "held": counts.get("held", 0),
        "failed": counts.get("failed", 0),
        "vanished": tally.vanished,
    }
    told = [f"{number} {state}" for state, number in numbers.items() if number]
    if tally.delivered:
        told[0] += f" to {where} ({show.size(tally.bytes)})"
    show.say(
        f"{name}: {', '.join(told) or 'nothing new'}.",
        source=name,
        listed=tally.listed,
        bytes=tally.bytes,
        later=tally.later,
        **numbers,
    )
    for state in ("held", "failed"):
        if numbers[state]:
            show.note(f"See why: postroom source ledger {name} --state {state}")
    if tally.later:
        show.note(f"{tally.later} more wait for their time (stable_time, or a retry).")
    if tally.throttled_for:
        show.note(f"The throttle keeps the rest back for {tally.throttled_for:.0f} s.")


def _status(counts: dict[str, int], tally: Any) -> int:
    """DESIGN 4.8: 0 every message is in a final state, 1 some failed or are held, 75 not finished."""
    if counts.get("failed") or counts.get("held"):
        return 1
    waiting = counts.get("pending", 0) + counts.get("acquired", 0)
    return TRY_AGAIN if waiting or tally.throttled_for else 0


@app.verb()
def watch(name: Name) -> int:
    """Collect for one source until Ctrl-C: pushed by the server, else by its schedule."""

    async def body(room: Room) -> int:
        show.note(f"Watching {name}; Ctrl-C ends it.")
        try:
            return 0 if await room.collecting.watch(name, progress=_news()) else 1
        except PostroomError as error:
            if error.code != "claim_lost":
                raise
            return TRY_AGAIN

    return in_room(body)


def _news() -> Callable[[Any], None]:
    """Says what each call with a tally adds to the one before: a pass tells its sum so far."""
    last: Any = None
    told = 0

    def tell(tally: Any) -> None:
        nonlocal last, told
        if tally is not last:  # another pass
            last, told = tally, 0
        if tally.delivered > told and not OPTIONS.json:
            print(f"{tally.delivered - told} delivered", file=sys.stderr)
        told = tally.delivered

    return tell


@app.verb()
def preview(
    name: Name,
    last: Annotated[int, typer.Option(metavar="N", help="The newest of them.", min=1)] = 50,
) -> None:
    """What would happen to the messages on the server, and why; changes nothing."""

    async def body(room: Room) -> tuple[Any, str]:
        source = await room.sources.show(name)
        with helping(source["connection"]):
            return await room.collecting.preview(name, last=last), source["start"]

    found, start = in_room(body)
    show.items(
        [one.as_json() for one in found.newest],
        (("would", "WOULD"), ("name", "NAME"), ("why", "WHY"), ("then", "THEN")),
        empty=f"There is no message in the folder that source {name} watches.",
        give=("name", "why", "then"),
        folder=found.folder,
        messages=found.messages,
    )
    if found.messages:
        show.note(_count(found, start))


def _count(found: Any, start: Any) -> str:
    """How many there are, and what of them the first pass will take (DESIGN 4.3, ``start``)."""
    held = f"{found.folder} holds {_messages(found.messages)}"
    if found.first and start == "all":
        held += f"; the first pass takes {'it' if found.messages == 1 else 'them all'} (start: all)"
    elif found.first:
        since = "from now on" if start == "new" else f"since {start['since']}"
        held += f"; the first pass takes what was received {since}"
    rest = found.messages - len(found.newest)
    return held + (f". The newest {len(found.newest)} are shown." if rest else ".")


def _messages(number: int) -> str:
    return f"{number:,} message{'s' * (number != 1)}"


@app.verb()
def ledger(
    name: Annotated[str, typer.Argument(help="Name of the source; none: every source.")] = "",
    ids: Annotated[
        list[int] | None, typer.Argument(help="Ledger ids: everything about these.")
    ] = None,
    state: Annotated[str, typer.Option(help="Only these, separated by commas.")] = "",
    message_id: Annotated[
        str, typer.Option(metavar="ID", help="Only of this Message-ID; < and > may be left out.")
    ] = "",
    from_: Annotated[
        str, typer.Option("--from", metavar="TEXT", help="Only with this in the From field.")
    ] = "",
    subject: Annotated[
        str, typer.Option(metavar="WORDS", help="Only with all these words in the subject.")
    ] = "",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Only received since then: 1h, 5d, 2027-01-31.")
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="WHEN", help="Only received before then, in the same words.")
    ] = "",
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
    after: Annotated[
        int | None, typer.Option(metavar="ID", help="Go on after this ledger id: the next page.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="So many at the most.", min=1)] = 50,
) -> None:
    """What a source remembers of each message, newest first; with ids everything about those."""
    wanted: dict[str, Any] = {
        "message_id": message_id, "from_": from_, "subject": subject, "since": since,
        "until": until, "oldest": oldest, "limit": max(limit, len(ids or ())),
    }  # fmt: skip
    states = [part.strip() for part in state.split(",") if part.strip()]
    found = in_room(
        lambda room: room.ledger.list(
            name or None, states=states, ids=ids or (), after=after, **wanted
        )
    )
    check_ids(found, name, ids or ())
    if ids and not OPTIONS.json:
        show_whole(found, ids)
    else:
        show_page(found, name, {"state": ",".join(states), **wanted})


@app.verb()
def release(name: Name, ids: Ids = None) -> None:
    """Let held messages be processed."""
    count = in_room(lambda room: room.ledger.release(name, ids))
    told = f"{count} released; the next run takes {'it' if count == 1 else 'them'}."
    none = f"{'None of these is' if ids else 'Nothing is'} held by source {name}."
    show.say(told if count else none, source=name, released=count)


@app.verb()
def reset(
    name: Name,
    ids: Ids = None,
    state: Annotated[
        str, typer.Option(help="Only these, separated by commas, such as failed.")
    ] = "",
) -> None:
    """Process messages again that were processed, failed or held."""
    states = [part.strip() for part in state.split(",") if part.strip()]
    which = f"{' or '.join(states)} message" if states else "message"
    if not ids and not confirm(f"Process every {which} of source {name} again?"):
        raise WrongUse("Nothing was reset.", hint="Name ledger ids, or confirm with --yes.")
    count = in_room(lambda room: room.ledger.reset(name, ids, states=states))
    show.say(f"{count} reset; the next run processes them again.", source=name, reset=count)


def _saved(found: dict[str, Any]) -> None:
    _show(found)
    show.note(f"See first what it would do: postroom source preview {found['name']}")
    show.note(f"Collect now: postroom source run {found['name']}")


def _show(found: dict[str, Any]) -> None:
    repeated = ("name", "connection")
    status = {key: value for key, value in found["status"].items() if key not in repeated}
    show.record(found, {**found, "status": {**status, "lag": _about(status["lag"])}})
