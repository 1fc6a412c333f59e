"""``postroom notify``: who is told what a person has to know, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import changes_of, read_flags
from postroom.cli.run import agreed, in_room, rebinding
from postroom.cli.verbs import Verbs
from postroom.errors import FAILED, OK
from postroom.operations.declared import nouns

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs("Who is told of expiries, sign-ins, failures, and how (postroom explain notify).")

Name = Annotated[str, typer.Argument(help="Name of the notification.")]
Rebind = Annotated[
    bool, typer.Option("--rebind", help="Send the stored secrets that it names there; do not ask.")
]


@app.verb("list")
def list_() -> None:
    """Every notification, how it tells, and what came of it last."""
    show.items(
        in_room(lambda room: room.notify.list()),
        (
            ("name", "NAME"),
            ("way", "WAY"),
            ("where", "WHERE"),
            ("causes", "CAUSES"),
            ("instead_of", "INSTEAD OF"),
            ("used_at", "USED"),
            ("outcome", "OUTCOME"),
            ("description", "DESCRIPTION"),
            ("error", "PROBLEM"),
        ),
        empty="Nobody is told anything yet. Tell somebody: postroom notify add NAME --service NAME "
        "--to ADDRESS",
        give=("description", "outcome", "where", "error"),
    )


@app.verb("show")
def show_(name: Name) -> None:
    """One notification with every setting."""
    show.record(in_room(lambda room: room.notify.show(name)))


@app.verb(fields="notify")
def add(ctx: typer.Context, name: Name, rebind: Rebind = False) -> None:
    """Make a notification: an email, a webhook, a program, or a ping."""
    given = read_flags(ctx.args, nouns()["notify"])

    async def body(room: Room) -> dict[str, Any]:
        data = {"name": name, **given.values}
        return await rebinding(lambda may: room.notify.add(data, rebind=may), rebind=rebind)

    _saved(in_room(body))


@app.verb("set", fields="notify")
def set_(ctx: typer.Context, name: Name, rebind: Rebind = False) -> None:
    """Change a notification; --clear FIELD takes a value away."""
    changes = changes_of(read_flags(ctx.args, nouns()["notify"]))

    async def body(room: Room) -> dict[str, Any]:
        return await rebinding(
            lambda may: room.notify.set(name, changes, rebind=may), rebind=rebind
        )

    _saved(in_room(body))


@app.verb()
def copy(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="Name of the new one.")],
    rebind: Rebind = False,
) -> None:
    """Make another notification with the same settings."""

    async def body(room: Room) -> dict[str, Any]:
        return await rebinding(
            lambda may: room.notify.copy(name, new_name, rebind=may), rebind=rebind
        )

    _saved(in_room(body))


@app.verb()
def delete(name: Name) -> None:
    """Delete a notification."""

    async def body(room: Room) -> None:
        await room.notify.delete(name, dry_run=True)
        agreed(f"Delete notification {name}?")
        await room.notify.delete(name)

    in_room(body)
    show.say(f"Deleted notification {name}.", deleted=name)


@app.verb("test")
def try_(
    name: Annotated[str | None, typer.Argument(help="Only that one; else all.")] = None,
) -> int:
    """Tell over every way that somebody tries it, and say what came of it: 0 all went well, 1 not."""
    found = in_room(lambda room: room.notify.test(name))
    show.items(
        found,
        (
            ("name", "NAME"),
            ("way", "WAY"),
            ("where", "WHERE"),
            ("ok", "WENT WELL"),
            ("said", "WHAT CAME OF IT"),
        ),
        empty="Nobody is told anything yet. Tell somebody: postroom notify add NAME --service NAME "
        "--to ADDRESS",
        give=("said", "where"),
    )
    return OK if all(one["ok"] for one in found) else FAILED


@app.verb()
def notices() -> None:
    """What lasts, and what was over within a week: each with who was told."""
    found = in_room(lambda room: room.notify.notices())
    show.items(
        [{**one, "who": _told(one["told"])} for one in found],
        (
            ("cause", "CAUSE"),
            ("name", "NAME"),
            ("since", "SINCE"),
            ("over_at", "OVER"),
            ("said", "WHAT"),
            ("who", "TOLD"),
        ),
        empty="Nothing lasts, and nothing was over within a week.",
        give=("said", "who"),
    )


@app.verb()
def check() -> int:
    """What a person has to know right now; for cron: where no worker lives, it is told from here.

    0: a worker lives and nothing lasts; 1: something does.
    """
    found = in_room(lambda room: room.telling.check())
    lasting = [one for one in found["notices"] if one["over_at"] is None]
    rows = [{**one, "who": _told(one["told"])} for one in lasting]
    show.items(
        rows,
        (
            ("cause", "CAUSE"),
            ("name", "NAME"),
            ("since", "SINCE"),
            ("said", "WHAT"),
            ("who", "TOLD"),
        ),
        empty="All is well: a worker runs, and nobody has to know anything."
        if found["workers"]
        else "Nobody has to know anything.",
        give=("said", "who"),
        workers=found["workers"],
    )
    return OK if found["workers"] and not lasting else FAILED


def _told(told: list[dict[str, Any]]) -> str:
    """Who was told, and who could not be."""
    return ", ".join(
        one["notification"] if one["ok"] else f"{one['notification']}: not told" for one in told
    )


def _saved(found: dict[str, Any]) -> None:
    show.record(found)
    show.note(f"Try it: postroom notify test {found['name']}")
