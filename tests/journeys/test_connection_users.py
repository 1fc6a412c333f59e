"""A connection is changed under the sources and services that use it: nobody is left without."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.connections.readonly import READS, read_only_store
from postroom.errors import PostroomError, Refused
from postroom.protocols import memory
from postroom.protocols.base import MessageStore
from postroom.protocols.newest import Newest
from tests.ground import Ground
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


async def refused(verb: Any) -> PostroomError:
    with pytest.raises(PostroomError) as caught:
        await verb
    return caught.value


@pytest.mark.parametrize("after", ["delete", "seen", "copy", "move"])
async def test_a_connection_with_a_source_that_changes_cannot_become_read_only(
    box: Incoming, after: str
) -> None:
    folders = {"done": "Done"} if after in ("copy", "move") else {}
    await box.source(after={"done": after}, folders=folders)
    error = await refused(box.room.connections.set("acme", {"incoming": {"read_only": True}}))
    assert error.code == "read_only"
    assert "orders-in" in error.sentence
    assert not (await box.room.connections.show("acme"))["incoming"].get("read_only")


async def test_the_parent_of_a_connection_is_a_way_round_that_is_closed(box: Incoming) -> None:
    """``read_only`` that is inherited holds as well, and so does its refusal."""
    await box.room.connections.add({"name": "child", "type": "standard", "extends": "acme"})
    await box.room.sources.add(
        {
            "name": "by-child", "connection": "child", "after": {"done": "delete"},
            "sink": {"type": "directory", "path": str(box.sink)},
        }
    )  # fmt: skip
    error = await refused(box.room.connections.set("acme", {"incoming": {"read_only": True}}))
    assert (error.code, "by-child" in error.sentence) == ("read_only", True)


async def test_whatever_was_saved_a_read_only_connection_changes_nothing(box: Incoming) -> None:
    """Were the check of saving ever passed by, the open store itself still refuses (DESIGN 4.2)."""
    box.fill(letter("kept"))
    await box.source(after={"done": "delete"})
    text = "UPDATE connections SET body = json_set(body, '$.incoming.read_only', json('true'))"
    await box.room.desk.db.write(lambda tx: tx.execute(text))
    error = await refused(box.room.collecting.run("orders-in"))
    assert error.code == "read_only"
    assert box.there() == ["kept"]


async def test_a_service_keeps_its_outgoing_side_and_a_source_its_wire(box: Incoming) -> None:
    await box.room.services.add({"name": "orders-out", "connection": "acme"})
    error = await refused(box.room.connections.set("acme", {"outgoing": {"protocol": "none"}}))
    assert "service orders-out" in error.sentence
    await box.source(after={"done": "seen"})
    change = {"incoming": {"protocol": "pop3", "port": str(box.ground.dovecot.pop3)}}
    error = await refused(box.room.connections.set("acme", change))
    assert (error.code, "orders-in" in error.sentence) == ("not_supported", True)


async def test_every_verb_of_a_store_reads_or_is_refused() -> None:
    """A verb that a wire learns later is refused until somebody says that it only reads."""
    server = memory.MemoryServer()
    store = read_only_store(await memory.open_store(server))
    verbs = {
        name
        for kind in (MessageStore, Newest)
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if name[0] != "_"
    }
    assert READS - {"features"} <= verbs
    for name in verbs - READS - {"open"}:
        with pytest.raises(Refused) as caught:
            await getattr(store, name)(["1"], "x")
        assert caught.value.code == "read_only"
    with pytest.raises(Refused):
        await store.open("INBOX", read_only=False)
    assert (await store.open("INBOX")).read_only
