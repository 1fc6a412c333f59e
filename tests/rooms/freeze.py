"""Makes a room with every noun in it and saves it for the releases to come.

``python -m tests.rooms.freeze`` writes ``tests/rooms/NNNN`` for the schema number of this release:
``room.sql`` (the whole database as text), ``room.key`` (the room's key, made for the tests alone),
``facts.json`` (the secrets, as they opened on that day) and ``tokens.json`` (the tokens).  Do it once,
before the schema gets its next number; a folder that is there is never written again.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Final

import trustme

from postroom.app import DATABASE, Room, open_room
from postroom.credentials.tokens import rows
from postroom.credentials.tokens.rows import Access
from postroom.db import Tx
from postroom.jobs.states import FINISHED as RUNS_FINISHED
from postroom.jobs.states import OPEN as RUNS_OPEN
from postroom.mail import Draft
from postroom.secret import Secret
from postroom.services.states import FINISHED, WAITING
from postroom.settings import Settings
from postroom.sources.entries import STATES

__all__ = ["secrets_of", "tokens_of"]

RUN_STATES: Final = (*RUNS_OPEN, *RUNS_FINISHED)
HERE: Final = Path(__file__).parent
THEN: Final = 1_780_000_000.0
"""An instant in 2026, for the rows that are written by hand."""


async def secrets_of(room: Room) -> dict[str, dict[str, str]]:
    """Every sealed value of the current versions, opened: credential, field, value."""
    listed = await room.credentials.list()
    names = [one["name"] for one in listed if one["state"] != "incomplete"]
    return await room.desk.write(lambda tx: {name: _open(room, tx, name) for name in names})


def _open(room: Room, tx: Tx, name: str) -> dict[str, str]:
    store = room.desk.credentials
    opened = store.open(tx, name, line=None, actor="local:test", purpose="a test")
    return {slot: secret.reveal() for slot, secret in opened.fields.split().sealed.items()}


async def tokens_of(room: Room) -> dict[str, dict[str, str]]:
    """Every token that is kept, opened: account, which one, value."""

    def body(tx: Tx) -> dict[str, dict[str, str]]:
        keyring = room.desk.tokens.kept.keyring
        found: dict[str, dict[str, str]] = {}
        for row in rows.find_all(tx):
            mine = found.setdefault(row["account"], {})
            for version in rows.refresh_versions(tx, row["id"]):
                opened = rows.open_refresh(tx, keyring, row, version)
                mine[f"refresh token {version}"] = opened.reveal()
            for access in tx.all("SELECT * FROM access_tokens WHERE sign_in = :id", id=row["id"]):
                mine[access["scopes"]] = rows.open_access(tx, keyring, row, access).token.reveal()
        return found

    return await room.desk.db.read(body)


# ------------------------------------------------------------------ what is in it


async def _credentials(room: Room) -> None:
    """All eight types; one with more versions than are kept, one that is incomplete."""
    make = room.credentials.create
    ca = trustme.CA().cert_pem.bytes().decode()
    client = {"2026a": {"value": Secret("client~secret.of-2026a"), "valid_until": "2099-01-31"}}
    await make("ground-ca", "trusted_certificate", details={"certificate": ca})
    login = {"user_name": "orders@example.com", "password": Secret("correct horse 1")}
    await make("acme-login", "password", description="Orders account", details=login)
    for number in range(2, 8):
        await room.credentials.set("acme-login", {"password": Secret(f"correct horse {number}")})
    await room.versions.destroy("acme-login", 5)
    relay = {"host": "smtp.example.com", "port": 587, "user_name": "relay", "tls": True}
    relay |= {"email_address": "relay@example.com", "password": Secret("relay-password-Ω")}
    await make("relay", "smtp", description="The relay of the office", details=relay)
    tenant = "11111111-2222-4333-8444-555555555555"
    app = {"tenant_id": tenant, "client_id": tenant, "client_secrets": client}
    await make("entra", "msgraph", details=app)
    await make("partner", "oauth_client", details={
        "authority": "https://login.example.com", "client_id": "postroom", "client_secrets": client,
        "token_endpoint": "https://login.example.com/token",
    })  # fmt: skip
    await make("client-pair", "certificate")
    await room.credentials.generate("client-pair")
    await make("token", "secret", expires_at="2099-12-31", details={"value": Secret("tok-9876543")})
    await make("shop", "generic", rotate_after="2099-06-30", details={
        "url": {"value": "https://shop.example.com", "plain": True},
        "api_key": Secret("api-key-of-the-shop"), "pin": Secret("4711"),
    })  # fmt: skip
    await make("half-made", "password", details={"user_name": "nobody"})


async def _definitions(room: Room) -> None:
    """Variables, connections with ``extends``, sources, services."""
    await room.variables.set("MAIL_HOST", "imap.example.com")
    await room.variables.allow_environment("HOME_DOMAIN")
    auth = {"type": "secret", "credential": "acme-login"}
    incoming = {"protocol": "imap", "host": "${MAIL_HOST}", "trust": "ground-ca", "auth": auth}
    outgoing = {"protocol": "smtp", "host": "smtp.example.com", "port": "587", "auth": auth}
    base = {"name": "acme", "description": "Äpfel & Co", "worker_roles": ["inside"]}
    both = {"incoming": incoming, "outgoing": outgoing}
    await room.connections.add(base | both, rebind=True)
    child = {"name": "acme-billing", "extends": "acme", "incoming": {"user": "b@example.com"}}
    await room.connections.add(child, rebind=True)
    pop = {"protocol": "pop3", "host": "pop.example.com", "auth": auth}
    await room.connections.add({"name": "old-pop", "incoming": pop}, rebind=True)
    sink = {"type": "directory", "path": "/var/mail/orders/${mail:from}"}
    await room.sources.add({
        "name": "orders-in", "connection": "acme", "sink": sink, "start": "all",
        "folders": {"input": "INBOX", "done": "Done", "error": "Error"},
        "failure": {"retry": {"max": 3}}, "ignore": {"from": {"deny": ["spam@.*"]}},
    })  # fmt: skip
    maildir = {"type": "maildir", "path": "/var/mail/billing"}
    await room.sources.add(
        {"name": "bills", "connection": "acme-billing", "sink": maildir, "clearance": True}
    )
    throttle = {"max": 30, "per": "minute"}
    await room.services.add({"name": "orders-out", "connection": "acme", "throttle": throttle})
    await room.services.add({"name": "via-relay", "connection": "credential:relay"})


async def _sign_ins(room: Room) -> None:
    """A person signed in to Microsoft 365; their refresh token was just rotated, so there are two."""
    person = "eve@example.com"
    auth = {"type": "oauth_device_flow", "credential": "entra"}
    await room.connections.add(
        {"name": "eve", "type": "microsoft365", "mailbox": person, "auth": auth}, rebind=True
    )

    def body(tx: Tx) -> None:
        side, keyring = (
            room.desk.resolver(tx).effective("eve").incoming,
            room.desk.tokens.kept.keyring,
        )
        assert side is not None
        assert side.grant is not None
        lines = (side.grant.token_line, f"bearer+{side.line}")
        for number in (1, 2):
            row = rows.ensure(tx, side.grant, now=THEN)
            rows.keep_refresh(tx, keyring, row, Secret(f"refresh~token.{number}"), lines)
        access = Access(Secret("access~token"), person, THEN + 3600, 0, ("Mail.ReadWrite",))
        rows.keep_access(tx, keyring, row, side.grant, access, lines, now=THEN)
        tx.execute(
            "UPDATE sign_ins SET state = 'signed in', signed_in_at = :at, signed_in_by = 'local:bob', "
            "refreshed_at = :at, due_at = :at", at=THEN,
        )  # fmt: skip
        tx.execute(
            "INSERT INTO authorities VALUES (:authority, 'system', '{}', :at)",
            authority=side.grant.authority, at=THEN,
        )  # fmt: skip
        tx.execute(
            "INSERT INTO client_proofs SELECT id, '2026a', 'current', :at, NULL, '' "
            "FROM credentials WHERE name = 'entra'", at=THEN,
        )  # fmt: skip

    await room.desk.write(body)


async def _mail(room: Room) -> None:
    """Ledger and outbox rows in every state."""
    draft = Draft(from_="orders@example.com", to=["a@example.com", "b@example.net"],
                  subject="Grüße", text="One line.\n")  # fmt: skip
    items = [await room.email.store("orders-out", draft, idempotency_key=f"k{n}") for n in range(9)]
    await room.email.store(
        "via-relay", Draft(from_="relay@example.com", to="c@example.com", text="")
    )
    await room.desk.write(lambda tx: _outbox_states(tx, items))
    await room.desk.write(_ledger_states)


def _outbox_states(tx: Tx, items: list[str]) -> None:
    for item, state in zip(items, sorted(WAITING | FINISHED), strict=False):
        finished = THEN if state in FINISHED else None
        tx.execute(
            "UPDATE outbox SET state = :state, attempts = 1, finished_at = :finished, "
            "owner = :owner WHERE id = :item", item=item, state=state, finished=finished,
            owner="gone-1-x" if state in ("claimed", "submitting") else None,
        )  # fmt: skip
        mine = state if state in FINISHED | {"deferred"} else "queued"
        tx.execute(
            "UPDATE outbox_recipients SET state = :state, code = 250, enhanced = '2.0.0', "
            "reply = 'Ok: queued' WHERE item = :item AND position = 0", item=item, state=mine,
        )  # fmt: skip
        tx.execute(
            "INSERT INTO outbox_attempts VALUES (:item, 1, :at, :state, 'smtp.example.com: 250 Ok')",
            item=item, at=THEN, state=state,
        )  # fmt: skip
    copies = ("waiting", "kept", "failed", "none")
    for item, state in zip(items, copies, strict=False):
        tx.execute(
            "INSERT INTO sent_copies VALUES (:item, 'orders-out', :state, '', 0, :at, :at, NULL, 0)",
            item=item, state=state, at=THEN,
        )  # fmt: skip
    tx.execute("INSERT INTO limits VALUES ('service orders-out', 12.5, :at)", at=THEN)


def _ledger_states(tx: Tx) -> None:
    for source in tx.all("SELECT id, store FROM sources"):
        tx.execute(
            "INSERT INTO cursors VALUES (:id, :store, 'INBOX', 7, '42', :at, :at, 0)",
            id=source["id"], store=source["store"], at=THEN,
        )  # fmt: skip
        for number, state in enumerate(STATES, 1):
            tx.execute(
                "INSERT INTO ledger (source, store, folder, message, state, reason, attempts, size, "
                "received_at, subject, sender, message_id, sha256, delivered_to, after_due, due_at, "
                "retries, gone_at, first_seen_at, updated_at) VALUES (:id, :store, 'INBOX', :key, "
                ":state, :reason, 1, 2048, :at, 'Bestellung №1', 'eve@example.com', '<m@x>', :sha, "
                "'', '', 0, 0, :gone, :at, :at)", id=source["id"], store=source["store"],
                key=f"7/{number}", state=state, reason="clearance" if state == "held" else "",
                sha=bytes(range(32)), gone=THEN if state == "vanished" else None, at=THEN,
            )  # fmt: skip
    tx.execute(
        "INSERT INTO connection_events (connection, since, at, times, actor, side, event, step, "
        "code, detail) VALUES ('acme', :at, :at, 3, 'local:test', 'incoming', 'failed', 'tls', "
        "'wire_error', 'the certificate ended')", at=THEN,
    )  # fmt: skip
    tx.execute(
        "INSERT INTO workers VALUES ('gone-1-x', 1, 'gone', '', :at, :at)", at=THEN
    )  # of a worker that was killed


async def _jobs(room: Room) -> None:
    """Jobs of both kinds, and their runs in every state; one of them by a message."""
    send = {"via": "orders-out", "to": "a@example.com", "subject": "Night of ${param:day}"}
    await room.jobs.add({
        "name": "nightly", "parameters": {"day": {"type": "text", "default": "today"}},
        "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
        "steps": [{"send-email": send | {"text": "All is well."}}],
    })  # fmt: skip
    program = {"command": ["/bin/sh", "-c", "exit 0"], "credentials": ["shop"]}
    await room.jobs.add({"name": "checks", **program}, rebind=True)
    await room.jobs.hold("checks")
    await room.credentials.change("shop", programs=True, rebind=True)
    found = [await room.runs.begin("nightly", {"day": f"{n}"}) for n in range(len(RUN_STATES))]

    def body(tx: Tx) -> None:
        for run, state in zip(found, RUN_STATES, strict=True):
            ended = THEN if state in RUNS_FINISHED else None
            tx.execute(
                "UPDATE runs SET state = :state, attempts = 1, finished_at = :ended, owner = :owner "
                "WHERE id = :run", run=run, state=state, ended=ended,
                owner="gone-1-x" if state == "running" else None,
            )  # fmt: skip
            tx.execute(
                "INSERT INTO run_log VALUES (:run, 1, :at, 'info', 'step 1 of 1: send-email')",
                run=run, at=THEN,
            )  # fmt: skip
        entry = tx.value("SELECT min(id) FROM ledger")
        tx.execute(
            "INSERT INTO run_messages VALUES (:run, :entry, '{}', :content)",
            run=found[0], entry=entry, content=b"Subject: Bestellung\r\n\r\n",
        )  # fmt: skip
        tx.execute(
            "INSERT INTO answered VALUES ('orders@example.com', :sender, 'none', :at, :at)",
            sender=bytes(32), at=THEN,
        )  # fmt: skip

    await room.desk.write(body)


# ------------------------------------------------------------------ save it


async def _made(directory: Path) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """Make the room in three process starts: one ended, one was killed, one ended."""
    settings = Settings(directory / "room", f"file:{directory / 'room.key'}")
    room = await open_room(settings, make=True, actor="local:alice")
    await _credentials(room)
    await room.close()
    room = await open_room(settings, actor="local:bob")
    await _definitions(room)
    room.desk.recorder = None  # a killed process leaves no last checkpoint
    await room.close()
    room = await open_room(settings, actor="local:alice")
    await _mail(room)
    await _sign_ins(room)
    await _jobs(room)
    await room.keys.rotate()
    found = await secrets_of(room), await tokens_of(room)
    problems = await room.audit.verify()
    await room.close()
    assert not problems, problems
    return found


def _freeze() -> Path:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        facts, tokens = asyncio.run(_made(directory))
        connection = sqlite3.connect(directory / "room" / DATABASE)
        number = connection.execute("PRAGMA user_version").fetchone()[0]
        lines = [*connection.iterdump(), f"PRAGMA user_version = {number};"]
        connection.close()
        into = HERE / f"{number:04}"
        into.mkdir()
        (into / "room.sql").write_text("\n".join(lines) + "\n", "utf-8")
        (into / "facts.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        (into / "tokens.json").write_text(json.dumps(tokens, indent=1) + "\n")
        (into / "room.key").write_bytes((directory / "room.key").read_bytes())
    return into


if __name__ == "__main__":
    sys.stdout.write(f"{_freeze()}\n")
