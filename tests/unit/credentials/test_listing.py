"""Lists of credentials: what they say, and how little they look at for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.db import Tx
from postroom.secret import Secret
from postroom.settings import Settings
from tests.unit.vault.samples import SAMPLES


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = await open_room(
        Settings(tmp_path / "room", f"file:{tmp_path / 'keys' / 'room.key'}"), make=True
    )
    yield opened
    await opened.close()


async def add(room: Room, *names: str) -> None:
    async def one(name: str) -> None:
        details = {"value": Secret(f"the secret of {name}")}
        await room.credentials.create(name, "secret", description="x", details=details)

    await asyncio.gather(*map(one, names))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that are run."""
    texts: list[str] = []
    run = Tx._run

    def counted(tx: Tx, sql: str, *rest: Any) -> Any:
        texts.append(sql)
        return run(tx, sql, *rest)

    monkeypatch.setattr(Tx, "_run", counted)
    return texts


async def test_a_list_asks_once_however_many_there_are_and_opens_nothing(
    room: Room, asked: list[str]
) -> None:
    """T98: so ten thousand take a fraction of a second (``make bench ARGS="--only list"``)."""
    counts = []
    for number in (10, 100):
        await add(room, *(f"c{number}-{one}" for one in range(number)))
        asked.clear()
        listed = await room.credentials.list()
        counts.append((len(listed), len(asked)))
    assert [count for count, _ in counts] == [10, 110]
    assert counts[0][1] == counts[1][1] < 10
    assert await room.audit.list(action="open") == []


async def test_what_nobody_uses_is_found_by_one_look_at_the_connections(
    room: Room, asked: list[str]
) -> None:
    """T98: every record is looked up, and what refers to it is not looked for each time."""
    looks = []
    for number in (10, 40):
        await add(room, *(f"c{number}-{one}" for one in range(number)))
        asked.clear()
        assert await room.credentials.list(unused=-1.0)
        looks.append(sum("FROM connections" in sql for sql in asked))
    assert looks[0] == looks[1]


async def test_a_list_counts_what_names_each(room: Room) -> None:
    """By sign-in, trust and client certificate of connections, by services, by trust of others."""
    await add(room, "free", "Taken")
    side = {"protocol": "imap", "host": "imap.example.com", "user": "ada"}
    auth = {"type": "secret", "credential": "taken"}
    await room.connections.add({"name": "acme", "incoming": {**side, "auth": auth}})
    await room.credentials.create(
        "ca", "trusted_certificate", details=SAMPLES["trusted_certificate"]
    )
    smtp = {"host": "smtp.example.com", "trust": "CA", "tls": True}
    await room.credentials.create("mail", "smtp", description="x", details=smtp)
    await room.services.add({"name": "out", "connection": "credential:Mail"})
    counts = {one["name"]: one["used_by"] for one in await room.credentials.list()}
    assert counts == {"free": 0, "Taken": 1, "ca": 1, "mail": 1}
    for name, count in counts.items():
        shown = await room.credentials.show(name)
        assert len([use for use in shown["usage"] if not use["via"]]) == count, name


async def _steps(room: Room, ask: Any) -> int:
    """How many instructions of SQLite's machine a look takes."""
    steps = 0

    def counted() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection = room.desk.db._reader()
    connection.set_progress_handler(counted, 1)
    await ask()
    connection.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("what", ["one", "a page", "usage", "needs"])
async def test_a_look_costs_the_same_among_many(room: Room, what: str) -> None:
    """T98: one record, a page, and what needs a person look at none of the others."""
    await room.connections.add(
        {
            "name": "public",
            "incoming": {
                "protocol": "imap", "host": "imap.example.com", "account": "a@example.com",
                "auth": {
                    "type": "oauth_device_flow", "client_id": "x",
                    "authority": "https://login.example.com",
                },
            },
        }
    )  # fmt: skip
    looks: dict[str, Any] = {
        "one": lambda: room.credentials.show("a5"),
        "a page": lambda: room.credentials.list(limit=5),
        "usage": lambda: room.credentials.usage("a5"),
        "needs": lambda: room.notify.needs(),
    }
    await add(room, *(f"a{one}" for one in range(10)))
    await looks[what]()
    few = await _steps(room, looks[what])
    await add(room, *(f"b{one}" for one in range(400)))
    many = await _steps(room, looks[what])
    # the dates of every record are looked at for what needs a person, and nothing else of them
    assert many < few + 400 * (8 if what == "needs" else 0) + 300, (few, many)


async def test_what_may_end_is_found_by_its_type_and_its_dates(room: Room) -> None:
    await add(room, "plain")
    await room.credentials.create("dated", "secret", expires_at="2030-01-01")
    await room.credentials.create("due", "secret", rotate_after="2030-01-01")
    ends = {"one": {"value": Secret("the value"), "valid_until": "2030-01-01"}}
    await room.credentials.create("app", "oauth_client", details={"client_secrets": ends})
    every = await room.desk.db.read(lambda tx: room.desk.credentials.all(tx))
    some = await room.desk.db.read(lambda tx: room.desk.credentials.all(tx, ending=True))
    assert (
        [one.name for one in some]
        == [one.name for one in every if one.due]
        == ["app", "dated", "due"]
    )
