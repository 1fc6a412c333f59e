"""Rows of connections: names without regard to case, usage, last use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from postroom.connections import store
from postroom.connections.connection import Connection
from postroom.db import Tx
from postroom.errors import NotThere, Refused
from postroom.fields import parse
from tests.unit.connections.rooms import SmallRoom

IMAP = {"protocol": "imap", "host": "imap.example.com"}


async def test_names_are_unique_without_regard_to_case(room: SmallRoom) -> None:
    await room.connect("Acme", incoming=IMAP)
    again = parse(Connection, {"name": "ACME", "incoming": IMAP})
    with pytest.raises(Refused) as caught:
        await room.db.write(lambda tx: store.create(tx, again))
    assert caught.value.code == "name_taken"
    await room.db.write(lambda tx: store.replace(tx, again))
    found = await room.db.read(lambda tx: store.get(tx, "acme"))
    assert found.name == "Acme", "a name stays spelled as it was"


async def test_a_missing_one_says_the_nearest(room: SmallRoom) -> None:
    await room.connect("acme", incoming=IMAP)
    verbs: tuple[Callable[[Tx, str], object], ...] = (store.get, store.delete, store.last_use)
    for verb in verbs:
        with pytest.raises(NotThere, match="Did you mean acme"):
            await room.db.write(partial(lambda verb, tx: verb(tx, "acmee"), verb))
    missing = parse(Connection, {"name": "other"})
    with pytest.raises(NotThere):
        await room.db.write(lambda tx: store.replace(tx, missing))


async def test_not_deleted_while_another_extends_it(room: SmallRoom) -> None:
    await room.connect("top", incoming=IMAP)
    await room.connect("child", extends="TOP")
    with pytest.raises(Refused, match="extended by child") as caught:
        await room.db.write(lambda tx: store.delete(tx, "top"))
    assert caught.value.code == "in_use"
    await room.db.write(lambda tx: store.delete(tx, "child"))
    await room.db.write(lambda tx: store.delete(tx, "top"))
    assert await room.db.read(store.load_all) == []


async def test_who_refers_to_a_credential(room: SmallRoom) -> None:
    await room.connect(
        "acme",
        bind=False,
        incoming={**IMAP, "trust": "X", "auth": {"type": "secret", "credential": "x"}},
        outgoing={"protocol": "smtp", "host": "h", "client_certificate": "x"},
    )
    found = await room.db.read(lambda tx: store.referring_to_credential(tx, "x"))
    assert found == [
        ("connection", "acme", "incoming.auth"),
        ("connection", "acme", "incoming.trust"),
        ("connection", "acme", "outgoing.client_certificate"),
    ]


async def test_last_use(room: SmallRoom) -> None:
    await room.connect("acme", incoming=IMAP)
    assert await room.db.read(lambda tx: store.last_use(tx, "acme")) == (None, "")
    await room.db.write(lambda tx: store.record_use(tx, "ACME", by="local:alice"))
    used = await room.db.read(lambda tx: store.last_use(tx, "acme"))
    assert used.by == "local:alice"
    assert used.at is not None
