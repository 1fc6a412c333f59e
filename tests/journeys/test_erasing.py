"""Erasing a person: the plan, the refusal, what is gone from the files, and what stays and why."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import postroom
from postroom.app import Room
from postroom.clock import timestamp
from postroom.db import Tx
from postroom.services import outbox
from postroom.services import service as services
from postroom.services.outbox import Parcel
from postroom.services.service import Service
from postroom.sinks import Delivery
from postroom.sources import erasing, ledger
from postroom.sources import store as sources
from postroom.sources.ledger import Read, Seen
from tests.child import Child
from tests.ground import Ground, User
from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter

SEND = ("send", "--via", "orders-out", "--subject", "Your secret order", "--json")


@pytest.fixture
def friend(ground: Ground) -> str:
    """Somebody else who is written to."""
    return ground.user().address


@pytest.fixture
def person(cli: Cli, wired: User, ground: Ground, friend: str) -> str:
    """An address that the room knows from all sides: collected, sent to, refused, held, mentioned."""
    who = ground.user().address
    ground.dovecot.fill(wired, [letter("one", who), letter("two", f"n{who}"), letter("three", who)])
    assert cli("source", "run", "orders-in").status == 0
    for words in (
        ("--to", who, "--text", "x"),
        ("--to", friend, "--text", f"Ask <{who}>: \u00fcber all that"),
        ("--to", friend, "--text", "Nobody else is named."),
        ("--to", who, "--to", friend, "--text", "x", "--key", "order-1"),
    ):
        assert cli(*SEND, *words).status == 0
    return who


def bytes_of(place: Path) -> Iterator[tuple[Path, bytes]]:
    for path in place.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes().lower()


def holding(place: Path, *words: str) -> list[str]:
    return [
        path.name
        for path, data in bytes_of(place)
        if any(word.lower().encode() in data for word in words)
    ]


def test_the_plan_comes_first_and_changes_nothing(
    cli: Cli, person: str, wired: User, tmp_path: Path
) -> None:
    """It names messages, entries, files in sinks, backups and settings."""
    assert cli("backup", "create", "--to", str(tmp_path / "room.tar")).status == 0
    assert cli("variable", "set", "BOSS", person).status == 0
    before = cli("outbox", "list", "--json").json
    planned = cli("erase", person.upper(), "--dry-run", "--json").json
    assert len(planned["outbox"]) == 3
    assert (planned["unfinished"], planned["erased"]) == ([], None)
    assert planned["ledger"] == {"orders-in": 2}
    assert len(planned["files"]) == 2
    assert all(person.encode() in Path(one).read_bytes() for one in planned["files"])
    assert [(one["path"], one["there"]) for one in planned["backups"]] == [
        (str(tmp_path / "room.tar"), True)
    ]
    assert planned["settings"] == ["variable BOSS"]
    told = cli("erase", person, "--dry-run")
    assert told.status == 0
    for text in (*planned["files"], "room.tar", "variable BOSS", "ledger of orders-in  2"):
        assert text in told.out
    assert cli("outbox", "list", "--json").json == before
    asked = cli("erase", person)
    assert (asked.status, "--yes" in asked.err) == (2, True)
    assert cli("outbox", "list", "--json").json == before


def test_what_is_still_to_be_sent_is_refused_with_the_list(
    cli: Cli, person: str, wired: User
) -> None:
    """Nothing is erased then; once it is cancelled it is."""
    item = cli(*SEND, "--to", person, "--text", "x", "--forget").json["id"]
    assert cli("outbox", "hold", item).status == 0
    refused = cli("erase", person, "--yes")
    assert refused.status == 1
    assert f"{item} (held)" in refused.err
    assert f"postroom outbox cancel {item}" in refused.err
    assert len(cli("outbox", "list", "--json").json["items"]) == 5
    assert cli("outbox", "cancel", item).status == 0
    assert cli("erase", person, "--yes").status == 0
    assert cli("outbox", "show", item).status == 2


def test_nothing_of_the_person_is_left_in_the_room(
    cli: Cli, person: str, wired: User, ground: Ground, tmp_path: Path
) -> None:
    """The files of the room are looked through, byte by byte; others stay, and no message comes again."""
    room = cli.settings.room
    other = f"n{person}"
    assert holding(room, f"<{person}>")
    erased = cli("erase", person, "--yes", "--json")
    assert erased.status == 0, erased.err
    assert erased.json["erased"] == {
        "outbox": 3, "ledger": 2, "runs": 0, "sentences": 0, "left": ""}  # fmt: skip
    assert holding(room, f"<{person}>", f" {person}", "ask <") == []
    assert holding(room, other), "whose address only ends like it"
    entries = cli("source", "ledger", "orders-in", "--oldest", "--json").json["items"]
    assert [one["from"] for one in entries] == ["", f"Ada <{other}>", ""]
    assert entries[0]["name"].startswith(f"INBOX {entries[0]['message']} (erased, received: ")
    assert person.encode() in Path(entries[0]["delivered_to"]).read_bytes(), "sinks are not touched"
    again = cli("source", "run", "orders-in", "--json").json
    assert again["delivered"] == 0, again
    ground.dovecot.fill(wired, [letter("four", "eve@evil.example")])
    assert cli("source", "run", "orders-in", "--json").json["delivered"] == 1
    left = cli("outbox", "list", "--json").json["items"]
    assert sorted(len(one["recipients"]) for one in left) == [0, 1]
    [row] = cli("audit", "list", "--action", "erase", "--json").json["items"]
    assert row["detail"] == {"outbox": 3, "ledger": 2, "runs": 0, "sentences": 0}
    assert cli("audit", "verify").status == 0
    again = cli("erase", person, "--yes")
    assert (again.status, "keeps nothing" in again.out) == (0, True)


def test_who_is_stopped_in_between_is_on_record(
    cli: Cli, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written down before anything goes: the first part is gone, and somebody did that."""

    def killed(*given: Any, **named: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as here:
        here.setattr(erasing, "erase", killed)
        assert cli("erase", person, "--yes").status != 0
    assert len(cli("outbox", "list", "--json").json["items"]) < 4
    [row] = cli("audit", "list", "--action", "erase", "--json").json["items"]
    assert row["detail"] == {"outbox": 3, "ledger": 2, "runs": 0, "sentences": 0}
    assert cli("erase", person, "--yes").status == 0
    rows = cli("audit", "list", "--action", "erase", "--json").json["items"]
    assert sorted(one["detail"]["outbox"] for one in rows) == [0, 3]


def test_a_key_of_a_send_is_remembered_all_the_same(cli: Cli, person: str, friend: str) -> None:
    """A program that repeats its request does not send twice what was erased."""
    words = ("--to", person, "--to", friend, "--text", "x", "--key", "order-1")
    first = cli(*SEND, *words).json["id"]
    assert cli("erase", person, "--yes").status == 0
    again = cli(*SEND, *words).json
    assert (again["id"], again["recipients"]) == (first, []), "the empty row, and nothing was sent"


def test_what_servers_said_of_them_is_erased_too(cli: Cli, wired: User, ground: Ground) -> None:
    """The sentence of a refusal names the recipient: in the outbox, and in the log of the connection."""
    who = "unknown-person@ground.test"
    assert cli(*SEND, "--to", who, "--text", "x").status == 1
    assert cli("erase", who, "--yes").status == 0
    assert holding(cli.settings.room, who) == []


def test_no_address_is_no_person(cli: Cli) -> None:
    assert cli("erase", "ann", "--yes").status == 2
    none = cli("erase", "ann@example.com", "--yes")
    assert (none.status, "keeps nothing" in none.out) == (0, True)


def test_traces_are_said_and_removed_by_the_next_call(
    cli: Cli, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a worker runs a large database is not written anew: exit 3, and what to do works."""
    monkeypatch.setattr("postroom.db.rewriting.BESIDE_OTHERS", 0)
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    with Child("-m", "postroom", "worker", *where) as worker:
        while not list((cli.settings.room / "seats").glob(f"*-{worker.pid}-*")):
            assert worker.status is None
        erased = cli("erase", person, "--yes")
    assert erased.status == 3
    assert "workers that run would have to wait" in erased.err
    assert "Erased: 3 messages of the outbox, 2 entries of the ledger." in erased.out
    again = cli("erase", person)
    assert (again.status, again.err) == (0, ""), "there is nothing left to be asked about"
    assert holding(cli.settings.room, f"<{person}>", f" {person}") == []


async def test_among_thousands_nothing_is_left_between_the_rows(room: Room) -> None:
    """Pages are split and joined as rows come and grow; what lay in them before lies nowhere."""
    await _fill(room, 4000, "ann@example.com")
    path = room.settings.room
    assert holding(path, "ann@example.com", "Private matter")
    done = await room.erasing.erase("Ann <ANN@example.com>")
    assert (done.ledger, done.outbox, done.left) == (572, 58, "")
    assert holding(path, "ann@example.com", "Private matter") == []
    assert holding(path, "bob@example.com", "Public matter") == ["room.db"]
    assert not (await room.erasing.plan("ann@example.com")).anything


async def _fill(room: Room, many: int, who: str) -> None:
    """Rows as collecting and sending make them: one in seven of them is of that person."""
    await room.connections.add({
        "name": "acme", "incoming": {"protocol": "imap", "host": "127.0.0.1", "security": "none"},
        "outgoing": {"protocol": "smtp", "host": "127.0.0.1", "security": "none"}})  # fmt: skip
    sink = {"type": "directory", "path": str(room.settings.room.parent / "orders")}
    await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})
    await room.services.add({"name": "orders-out", "connection": "acme", "queue_size": many})
    db = room.desk.db
    source = await db.read(lambda tx: sources.row_of(tx, "orders-in")["id"])
    service = await db.read(lambda tx: services.get(tx, "orders-out"))
    for first in range(0, many, 100):
        numbers = range(first, first + 100)
        await db.write(functools.partial(_listed, source, numbers))
        reads = [_read(n + 1, _whose(n, who)) for n in numbers]
        await db.write(functools.partial(_delivered, reads))
    for n in range(many // 10):
        await db.write(functools.partial(_added, service, _parcel(n, _whose(n, who))))
    await db.write(
        lambda tx: tx.execute("UPDATE outbox SET state = 'sent', finished_at = 1 WHERE id <> ''")
    )


def _listed(source: str, numbers: range, tx: Tx) -> None:
    seen = [Seen(f"7-{n}", "pending", "", 9, None) for n in numbers]
    ledger.record(tx, source, "s", "INBOX", seen, cursor="7-9", uidvalidity=7, now=timestamp())


def _delivered(reads: list[Read], tx: Tx) -> None:
    ledger.delivered(tx, reads, [], done_due=False, error_due=False, now=timestamp())


def _added(service: Service, parcel: Parcel, tx: Tx) -> None:
    outbox.add(tx, service, parcel, actor="test")


def _whose(n: int, who: str) -> tuple[str, str]:
    return (who, "Private matter") if n % 7 == 0 else ("bob@example.com", "Public matter")


def _read(id: int, whose: tuple[str, str]) -> Read:
    address, subject = whose
    told = f"{subject} {id} {'x' * (id % 300)}"
    return Read(Delivery(id, where=f"/orders/{id}"), b"", told, f"A <{address}>", f"<{id}@x>")


def _parcel(n: int, whose: tuple[str, str]) -> Parcel:
    address, subject = whose
    content = f"To: {address}\r\nSubject: {subject}\r\n\r\n{'y' * (n * 37 % 9000)}".encode()
    return Parcel(content, "a@example.com", (address,), f"<{n}@y>", subject)


def test_from_the_library(cli: Cli, person: str) -> None:
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        assert room.erasing.plan(person).ledger == {"orders-in": 2}
        assert room.erasing.erase(person).outbox == 3


def test_what_runs_have_of_a_person_is_erased(cli: Cli, wired: User, ground: Ground) -> None:
    """Its message, its log and its result; not that it ran.  One that is not finished is waited for."""
    who = ground.user().address
    assert cli("source", "delete", "orders-in", "--yes").status == 0
    room = cli.settings.room.parent / "room.yaml"
    room.write_text(
        "postroom: 1\njobs:\n  - name: tell\n    steps:\n      - name: read\n"
        "        read-email: {}\n"
        "sources:\n  - {name: told, connection: acme, start: all, sink: {type: job, job: tell}}\n"
    )
    assert cli("apply", str(room), "--yes").status == 0
    ground.dovecot.fill(wired, [letter("one", who), letter("two", f"n{who}")])
    assert cli("source", "run", "told").status == 0
    runs = [one["id"] for one in cli("job", "runs", "tell", "--json").json["items"]]
    refused = cli("erase", who, "--yes")
    assert refused.status == 1
    assert "1 run is not finished" in refused.err
    assert f"postroom job cancel {min(runs)}" in refused.err
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    with Child("-m", "postroom", "worker", *where):
        for _ in range(400):
            ended = cli("job", "runs", "tell", "--json").json["items"]
            if all(one["state"] == "succeeded" for one in ended):
                break
            time.sleep(0.05)
    assert who in str(ended)
    planned = cli("erase", who, "--dry-run", "--json").json
    assert [one["job"] for one in planned["runs"]] == ["tell"]
    assert planned["files"] == []
    assert "run of a job" in cli("erase", who, "--dry-run").out
    done = cli("erase", who, "--yes", "--json")
    assert (done.status, done.json["erased"]["runs"]) == (0, 1)
    assert holding(cli.settings.room, f"<{who}>") == []
    assert holding(cli.settings.room, f"<n{who}>") != []
    ended = cli("job", "runs", "tell", "--json").json["items"]
    assert [one["state"] for one in ended] == ["succeeded"] * 2
    assert f"n{who}" in str(ended)
