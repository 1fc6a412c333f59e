"""Two rooms for what is asked at every door: one with what is hidden, one in which there is none of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from postroom.app import Room
from postroom.clock import timestamp
from postroom.connections import events
from postroom.db import Tx
from postroom.mail import Draft
from postroom.notices import rows
from postroom.notices.causes import Found
from postroom.notices.notification import Cause
from postroom.secret import Secret
from tests.unit.operations.askings import GOOD, HIDDEN, SHOWN, SINK, side

__all__ = ["furnish", "ids_of"]


async def furnish(room: Room, names: Sequence[str], certificate: str) -> None:
    """Records of every noun, all named ``NAME-...``, and what rests on both; then the hidden is hidden.

    Those of the last name are the newest.
    """
    await _shared(room, certificate)
    for each in names:
        await _credentials(room, each, certificate)
        await _definitions(room, each)
    for each in names:
        await _kept(room, each)
    await room.desk.db.write(lambda tx: _notices(tx, names))
    if HIDDEN in names:
        await room.users.add(f"{HIDDEN}-clerk", "viewer")
        for record in ("", "-app", "-key", "-ca"):
            await room.grants.restrict(f"{HIDDEN}{record}")


async def _shared(room: Room, certificate: str) -> None:
    for name, value in (("HOST", "127.0.0.1"), ("ODD", "127.0.0.1"), ("FROM", "a@example.com")):
        await room.variables.add(name, value)
    await room.credentials.create(
        "shared-ca", "trusted_certificate", details={"certificate": certificate}
    )
    await room.connections.add(
        {
            "name": "base",
            "incoming": {**side(""), "auth": {"type": "none"}},
            "outgoing": {**side("", "smtp"), "auth": {"type": "none"}},
        }
    )
    await room.services.add({"name": "shared-out", "connection": "base"})
    await room.jobs.add({"name": "shared-job", "steps": [{"list-email": {"via": "base"}}]})


async def _credentials(room: Room, each: str, certificate: str) -> None:
    details = {"user_name": f"{each}@example.com", "password": Secret(GOOD + each)}
    await room.credentials.create(
        each, "password", details=details, description=f"of {each}", expires_at="2020-01-01"
    )
    await room.credentials.create(
        f"{each}-app", "oauth_client",
        details={
            "authority": "https://127.0.0.1:1", "client_id": f"{each}-client",
            "client_secrets": {"one": {"value": Secret(GOOD), "valid_until": "2020-01-01"}},
        },
    )  # fmt: skip
    await room.credentials.create(f"{each}-key", "secret", details={"value": Secret(GOOD)})
    await room.credentials.create(
        f"{each}-ca", "trusted_certificate", details={"certificate": certificate}
    )


async def _definitions(room: Room, each: str) -> None:
    hides = each == HIDDEN
    device = {"type": "oauth_device_flow", "credential": f"{each}-app", "scopes": ["mail"]}
    for connection in (
        {"name": f"{each}-mail", "incoming": side(each), "outgoing": side(each, "smtp")},
        {"name": f"{each}-below", "extends": f"{each}-mail"},
        {"name": f"{each}-child", "extends": "base", "incoming": side(each, security="tls")
         | {"trust": "shared-ca"}},
        {"name": f"{each}-var", "incoming": side(each, host="${HOST}" if hides else "${ODD}")},
        {"name": f"{each}-auth", "incoming": side(each, user=f"{each}@example.com", auth=device)},
    ):  # fmt: skip
        await room.connections.add(connection)
    folder = str(room.settings.room.parent / each)
    for name, below, sink in (
        ("in", "below", {"type": "directory", "path": folder}), ("feed", "mail", SINK),
    ):  # fmt: skip
        await room.sources.add(
            {"name": f"{each}-{name}", "connection": f"{each}-{below}", "start": "all", "sink": sink,
             "folders": {"input": name}}
        )  # fmt: skip
    sender = {"from": "${FROM}" if hides else "", "allowed_senders": ["*@example.com"]}
    await room.services.add({"name": f"{each}-out", "connection": f"{each}-below", **sender})
    steps: list[dict[str, Any]] = [
        {"read-email": {"via": f"{each}-below", "id": "1"}},
        {"send-email": {"via": "shared-out", "from": "a@example.com", "to": "a@example.com"}},
        {"run-job": {"job": "shared-job"}},
    ]
    await room.jobs.add({"name": f"{each}-job", "steps": steps})
    told = {"service": f"{each}-out", "to": ["boss@example.com"]}
    hook = {"url": "https://127.0.0.1:1/x", "signing": f"{each}-key", "trust": f"{each}-ca"}
    stand = {"instead_of": f"{SHOWN}-hook"} if hides else {}
    await room.notify.add({"name": f"{each}-tell", **told})
    await room.notify.add({"name": f"{each}-hook", **hook, **stand})


async def _kept(room: Room, each: str) -> None:
    """What is kept of them: messages, ledgers, runs and what happened."""
    items = []
    for via in (f"{each}-out", f"{each}-out", f"connection:{each}-mail", f"{each}-out"):
        draft = Draft(
            from_=f"{each}@example.com",
            to="boss@example.com",
            subject=f"{each} wages",
            text="Hello",
        )
        items.append(await room.email.store(via, draft))
    await room.outbox.hold(items[1])
    runs_begun = [await room.runs.begin(f"{each}-job") for _ in range(2)]

    def body(tx: Tx) -> None:
        for state, item in (("failed", items[0]),):
            tx.execute(
                "UPDATE outbox SET state = :state, finished_at = 1 WHERE id = :id",
                state=state, id=item,
            )  # fmt: skip
        tx.execute("UPDATE runs SET state = 'failed', finished_at = 1, error = 'failed' "
                   "WHERE id = :id", id=runs_begun[0])  # fmt: skip
        tx.execute("INSERT INTO run_log VALUES (:run, 1, 1, 'info', :said)",
                   run=runs_begun[0], said=f"for {each}")  # fmt: skip
        source = tx.one("SELECT id, store FROM sources WHERE name = :name", name=f"{each}-in")
        assert source is not None
        for number, state in enumerate(("delivered", "failed", "held")):
            tx.execute(
                "INSERT INTO ledger (source, store, folder, message, state, reason, attempts, size, "
                "received_at, subject, sender, message_id, delivered_to, after_due, due_at, retries, "
                "first_seen_at, updated_at) VALUES (:source, :store, 'in', :message, :state, '', 1, 1, "
                "1, :subject, :sender, :id, '', '', 0, 0, 1, 1)",
                source=source["id"], store=source["store"], message=str(number), state=state,
                subject=f"{each} wages", sender=f"{each}@example.com",
                id=f"<{each}wages@example.com>",
            )  # fmt: skip
        events.record(tx, f"{each}-mail", "failed", actor="postroom", side="incoming", detail="no")

    await room.desk.db.write(body)


def _notices(tx: Tx, names: Sequence[str]) -> None:
    """What people were told, and over which ways: also of what everybody sees, over what is hidden."""
    kinds: tuple[tuple[Cause, str, str], ...] = (
        ("source", "source", "-in"), ("outbox", "service", "-out"), ("expiry", "credential", ""),
        ("sign-in", "connection", "-auth"), ("outbox", "connection", "-mail"),
        ("worker", "notification", "-tell"),
    )  # fmt: skip
    found = [
        Found(
            f"{kind} {noun} {each}", kind, noun, f"{each}{end}", f"{each} is broken.", "", "Look."
        )
        for each in names
        for kind, noun, end in kinds
    ]
    rows.merge(tx, found, [], now=timestamp())
    for one in found:
        for each in names:
            told = rows.Told(ok=True, via=f"{each}-tell", why=f"by {each}-tell", at=1.0)
            rows.settle(tx, one.key, f"{each}-tell", told)


async def ids_of(room: Room, each: str) -> dict[str, Any]:
    """The words that a question is filled with, for that name; of what is not there, ids of nothing."""

    def body(tx: Tx) -> dict[str, Any]:
        item = tx.all("SELECT id FROM outbox WHERE service = :name", name=f"{each}-out")
        run = tx.all("SELECT id FROM runs WHERE job = :name", name=f"{each}-job")
        entry = tx.value(
            "SELECT max(id) FROM ledger WHERE message_id = :id", id=f"<{each}wages@example.com>"
        )
        none = "e" * 21 if each == HIDDEN else "f" * 21
        items = item[-1]["id"] if item else none
        begun = run[-1]["id"] if run else none
        return {
            "n": each, "item": items, "start": items[:20], "run": begun, "runstart": begun[:20],
            "entry": entry or 999_999, "token": "0" * 12,
        }  # fmt: skip

    return await room.desk.db.read(body)
