"""``postroom backup``: the whole room but its key in one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.progress import counting
from postroom.cli.run import Asker, in_room, outside
from postroom.cli.verbs import Verbs

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.backup import Restored, Verified
    from postroom.operations.backup.making import Made
    from postroom.operations.backup.manifest import Manifest
    from postroom.settings import Settings

__all__ = ["app"]

app = Verbs("Backups of the room: everything but its key, in one file.")

_TOLD: Final = (
    "credentials", "connections", "sources", "ledger", "services", "outbox", "jobs", "runs",
    "variables", "audit",
)  # fmt: skip
"""The tables whose rows say something to people."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


@app.verb()
def create(
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="It must not be there yet; in a directory, the name is made of room and time. "
            "Default: the current directory.",
        ),
    ] = None,
) -> None:
    """Make a backup while everybody goes on working."""

    async def body(room: Room) -> Made:
        with counting("Backup", "pages") as tell:
            return await room.backup.create(to, tell=tell)

    made = in_room(body)
    manifest = made.manifest
    messages = manifest.tables.get("outbox_content", 0)
    received = manifest.tables.get("run_messages", 0)
    show.say(
        f"The backup of the room {manifest.room} is in {made.path} "
        f"({show.size(made.path.stat().st_size)}).",
        **{**_manifest(manifest), "path": str(made.path)},
        messages=messages,
        received=received,
        private=made.private,
    )
    show.note(
        f"Not in it: the key. A restore wants {' or '.join(manifest.keks)}; keep that elsewhere: "
        "postroom keys kit --to FILE"
    )
    if messages:
        many = "1 message" if messages == 1 else f"{messages} messages"
        show.note(f"In it and not sealed: the content of {many} of the outbox.")
    if received:
        many = "1 message" if received == 1 else f"{received} messages"
        show.note(f"In it and not sealed: {many} that began runs of jobs.")
    if not made.private:
        show.note("Note: this disk keeps no modes, so others may be able to read the backup.")


@app.verb()
def verify(file: File) -> None:
    """Check a backup, without a room; with the room's key it is proven who made it."""

    async def body(settings: Settings, asker: Asker) -> Verified:
        from postroom.app import verify_backup

        with counting("Backup", "bytes") as tell:
            return await verify_backup(file, settings, ask=asker, tell=tell)

    found = outside(body)
    manifest = found.manifest
    if OPTIONS.json:
        show.record({"whole": True, "proof": found.proof, **_manifest(manifest)})
        return
    if found.proof == "key":
        print("Whole, and made with the room's key: nobody without it has changed it.")
    else:
        print(
            show.said(
                "Whole, by its SHA-256 alone. Whether somebody made it anew was not checked: "
                f"{found.locked.sentence if found.locked else 'it has no key.'}"
            )
        )
    show.record({}, _for_people(manifest))


@app.verb()
def restore(file: File) -> None:
    """Make a backup's room where --room says, a place with nothing in it; it sends nothing yet."""

    async def body(settings: Settings, asker: Asker) -> Restored:
        from postroom.app import restore_backup

        with counting("Restore", "bytes") as tell:
            return await restore_backup(file, settings, ask=asker, tell=tell)

    done = outside(body)
    if OPTIONS.json:
        told = {**done._asdict(), "path": str(done.path), "manifest": _manifest(done.manifest)}
        show.record(told)
        return
    manifest = done.manifest
    print(
        show.said(
            f"The room {manifest.room} is at {done.path}, as it was at {manifest.created_at}."
        )
    )
    for line in _next(done):
        print(show.said(line))


def _next(done: Restored) -> Iterator[str]:
    """What waits for somebody to look, and how to go on."""
    if done.held:
        many = "1 message of the outbox is" if done.held == 1 else f"{done.held} messages are"
        yield f"{many} held: the other room may have sent them. See: postroom outbox list --state held"
        yield "Let them go, or not: postroom outbox release --restored, or outbox cancel --restored"
    if done.ambiguous:
        many = "1 message" if done.ambiguous == 1 else f"{done.ambiguous} messages"
        yield f"{many} may have arrived. See: postroom outbox list --state ambiguous"
    if done.jobs:
        many = "1 job is" if done.jobs == 1 else f"{done.jobs} jobs are"
        yield f"{many} held: its runs wait, and nothing begins. Each goes on with: postroom job release NAME"
    if done.again:
        many = "1 message" if done.again == 1 else f"{done.again} messages"
        yield f"{many} of sources will be read once more."
    if done.tokens:
        many = "1 API token is" if done.tokens == 1 else f"{done.tokens} API tokens are"
        yield f"{many} revoked: whose were stolen since is not known here. New ones: postroom token add NAME"
    if done.users:
        yield "Users are those of the backup, also whoever was disabled since. See: postroom user list"
    if done.alive:
        yield (
            f"Somebody still works on the room this backup is of, at {done.manifest.path} "
            f"({', '.join(done.alive)}): stop that before a worker starts here, or both collect and send."
        )
    yield "Then check and begin: postroom audit verify"


def _manifest(one: Manifest) -> dict[str, Any]:
    return {
        "room": one.room,
        "epoch": one.epoch,
        "schema": one.schema,
        "release": one.release,
        "created_at": one.created_at,
        "host": one.host,
        "path": one.path,
        "keks": one.keks,
        "vault_keys": one.vault_keys,
        "size": one.size,
        "sha256": one.sha256,
        "tables": one.tables,
        "streams": len(one.heads),
    }


def _for_people(one: Manifest) -> dict[str, Any]:
    return {
        "room": one.room,
        "made": f"{one.created_at} on {one.host}, of {one.path}",
        "size": show.size(one.size),
        "wants": f"the key {' or '.join(one.keks)}",
        "schema": f"{one.schema}, release {one.release}",
        "epoch": one.epoch,
        "rows": {name: one.tables[name] for name in _TOLD if one.tables.get(name)},
    }
