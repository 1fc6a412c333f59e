"""One contract for every message store: memory, IMAP and POP3 on Dovecot and Courier, Graph.

What a store says it cannot do (Features) is skipped, and one test checks that it refuses it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from postroom.errors import FolderError, WireError
from postroom.protocols.base import Content, MessageStore, Since, Summary
from postroom.protocols.content import Held
from postroom.protocols.graph import open_store as open_graph
from postroom.protocols.imap import open_store as open_imap
from postroom.protocols.memory import MemoryServer
from postroom.protocols.memory import open_store as open_memory
from postroom.protocols.pop3 import open_store as open_pop3
from tests.ground import Ground, messages
from tests.wire.graph import graph_target
from tests.wire.outgoing import password, target

__all__: list[str] = []

SMALL = [messages.small(n) for n in range(12)]
LARGE = b"Subject: large\r\n\r\n" + b"a line of a large message, .dots\r\n..\r\n" * 40_000


class Spooled:
    """A spool in memory."""

    def __init__(self, size: int) -> None:
        self.pieces = io.BytesIO()

    def write(self, data: bytes | memoryview, /) -> None:
        self.pieces.write(data)

    def finish(self) -> Content:
        return Spool(self.pieces.getvalue())

    def discard(self) -> None:
        self.pieces.close()


class Spool(Held):
    """Tells that it went through the spool."""


@dataclasses.dataclass
class Rig:
    """A mailbox that can be filled past every protocol, and opened."""

    kind: str
    fill: Callable[[list[bytes]], object]
    open: Callable[[], Awaitable[MessageStore]]
    tells_uses: bool = True  # it says which folder is the archive, the trash
    tells_changes: bool = True  # it says what has gone and what was flagged meanwhile
    numbers: bool = True  # it has a UIDVALIDITY
    tells_sizes: bool = True
    tells_news: bool = True  # what is new apart from what changed

    async def inbox(self, *, read_only: bool = False) -> MessageStore:
        store = await self.open()
        await store.open("INBOX", read_only=read_only)
        return store


def _graph(ground: Ground) -> Rig:
    user = ground.user()
    there, sign_in = graph_target(ground, user.address)

    async def opened() -> MessageStore:
        store = await open_graph(there, sign_in)
        store.poll_seconds = 0.1
        return store

    return Rig(
        "graph",
        lambda contents: ground.dovecot.fill(user, contents),
        opened,
        numbers=False,
        tells_sizes=False,
        tells_news=False,
    )


@pytest.fixture(params=["memory", "imap", "pop3", "imap-courier", "pop3-courier", "graph"])
def rig(request: pytest.FixtureRequest) -> Rig:
    if request.param == "memory":
        server = MemoryServer()
        return Rig(
            "memory",
            lambda contents: [server.put(content) for content in contents],
            lambda: open_memory(server),
        )
    ground: Ground = request.getfixturevalue("ground")
    if request.param == "graph":
        return _graph(ground)
    protocol, _, second = request.param.partition("-")
    real = ground.courier if second else ground.dovecot
    user = real.user()
    opener: Any = {"imap": open_imap, "pop3": open_pop3}[protocol]
    # With the second server over STARTTLS, so that both ways are taken.
    there = (
        target(getattr(real, protocol), "starttls", ground.pki)
        if second
        else target(getattr(real, protocol + "s"), "tls", ground.pki)
    )
    return Rig(
        protocol,
        lambda contents: real.fill(user, contents),
        lambda: opener(there, password(user)),
        tells_uses=not second,
        numbers=protocol != "pop3",
        tells_changes=protocol == "imap" and not second,
    )


async def listed(store: MessageStore, cursor: str = "", **more: Any) -> list[Summary]:
    return [s async for page in store.newer(cursor, **more) for s in page.summaries]


async def fetched(store: MessageStore, ids: list[str]) -> dict[str, Content | None]:
    return {f.id: f.content async for batch in store.fetch(ids, Spooled) for f in batch}


def needs(store: MessageStore, feature: str) -> None:
    if not getattr(store.features, feature):
        store.abandon()
        pytest.skip(f"it has no {feature}, and says so")


async def test_opening_tells_what_is_there(rig: Rig):
    rig.fill(SMALL[:3])
    store = await rig.open()
    state = await store.open("inbox")
    assert (state.name, state.exists, state.read_only) == ("INBOX", 3, True)
    assert (state.uidvalidity > 0) == rig.numbers
    with pytest.raises(FolderError) as caught:
        await store.open("No/Such Folder")
    assert caught.value.code == "folder_missing"
    await store.close()


async def test_folders_have_names_and_uses(rig: Rig):
    store = await rig.open()
    found = {folder.name: folder for folder in await store.folders()}
    assert found["INBOX"].selectable
    if store.features.folders:
        assert found["Archive"].special_use == ("\\Archive" if rig.tells_uses else "")
        assert (await store.open("\\Trash")).name == "Trash"
        await store.create("Done/2026/ä")
        await store.create("Done/2026/ä")
        assert {"Done", "Done/2026", "Done/2026/ä"} <= {f.name for f in await store.folders()}
        assert (await store.open("Done/2026/ä")).exists == 0
    await store.create("INBOX")
    await store.close()


async def test_listing_goes_page_by_page_and_on_from_a_cursor(rig: Rig):
    rig.fill(SMALL[:5])
    store = await rig.inbox()
    pages = [page async for page in store.newer("", page=2, headers=["subject"])]
    assert [len(page.summaries) for page in pages] == [2, 2, 1]
    first = [s for page in pages for s in page.summaries]
    assert [s.size for s in first] == [len(m) if rig.tells_sizes else 0 for m in SMALL[:5]]
    assert len({s.id for s in first}) == 5
    for summary, content in zip(first, SMALL, strict=False):
        line = next(x for x in content.split(b"\r\n") if x.lower().startswith(b"subject:"))
        assert summary.headers.strip() == line
    await store.close()
    rig.fill(SMALL[5:7])
    store = await rig.inbox()
    later = [s.id for s in await listed(store, pages[-1].cursor)]
    known = [s.id for s in first]
    if store.features.folders:
        assert len(later) == 2
        assert not set(later) & set(known)
    else:  # without order everything comes every time
        assert set(known) < set(later)
        assert len(later) == 7
    await store.close()


async def test_arrivals_are_the_listing_with_its_contents(rig: Rig):
    """The same messages and facts as listing and reading give, in order, from a cursor on."""
    rig.fill([*SMALL[:5], LARGE, *SMALL[5:]])
    store = await rig.inbox()
    needs(store, "arrivals")
    pages = [page async for page in store.arrivals("", Spooled)]
    assert [s for page in pages for s in page.summaries] == await listed(store)
    assert pages[-1].cursor == (await store.open("INBOX")).next_cursor
    found = {key: content for page in pages for key, content in page.contents.items()}
    assert list(found) == [s.id for page in pages for s in page.summaries]
    bodies = [content.bytes() for content in found.values() if content is not None]
    assert bodies == [*SMALL[:5], LARGE, *SMALL[5:]]
    assert [s.flags for page in pages for s in page.summaries] == [frozenset()] * 13
    third = [s.id for page in pages for s in page.summaries][2]
    behind = f"{third.rpartition('-')[2]}"
    again = [s.id async for page in store.arrivals(behind, Spooled) for s in page.summaries]
    assert again == list(found)[3:]
    assert not [page async for page in store.arrivals(pages[-1].cursor, Spooled)]
    await store.close()


async def test_arrivals_pass_over_nothing(rig: Rig):
    """Where a number is missing the server is asked what there is: nothing behind it is lost."""
    rig.fill(SMALL[:6])
    store = await rig.inbox()
    needs(store, "arrivals")
    ids = [s.id for s in await listed(store)]
    await store.delete(ids[2:4])
    await store.open("INBOX")
    cursor, taken = "", []
    async for page in store.arrivals(cursor, Spooled):
        taken += [s.id for s in page.summaries]
        cursor = page.cursor
    taken += [s.id for s in await listed(store, cursor)]
    assert taken == ids[:2] + ids[4:]
    await store.close()


async def test_start_new_begins_after_what_is_there(rig: Rig):
    rig.fill(SMALL[:2])
    store = await rig.open()
    state = await store.open("INBOX")
    if not store.features.snapshot:
        assert await listed(store, state.next_cursor) == []
    await store.close()
    store = await rig.open()
    assert (await store.open("INBOX")).next_cursor == state.next_cursor, "nothing has changed"
    await store.close()


async def test_opening_tells_what_changed_since(rig: Rig):
    """RFC 7162: what has gone and what was flagged comes with the folder; else nothing is said."""
    rig.fill(SMALL[:5])
    store = await rig.open()
    state = await store.open("INBOX", read_only=False)
    pages = [page async for page in store.newer("")]
    ids = [s.id for s in pages[-1].summaries]
    since = {"INBOX": Since(state.uidvalidity, pages[-1].cursor)}
    assert (await store.open("INBOX")).changes is None, "nobody asked"
    quiet = (await store.open("INBOX", read_only=False, since=since)).changes
    if not rig.tells_changes:
        assert quiet is None or quiet.gone is None
        await store.close()
        return
    assert quiet is not None
    assert (list(quiet.gone or ()), dict(quiet.flags)) == ([], {})
    assert quiet.gone is not None
    await store.delete(ids[1:3])
    await store.flag([ids[3]], add=["seen", "Invoice"])
    rig.fill(SMALL[5:6])
    for again in (store, await rig.open()):  # on the connection that is open, and on a new one
        changes = (await again.open("inbox", since=since)).changes
        assert changes is not None
        assert changes.gone is not None
        assert (len(changes.gone), list(changes.gone)) == (2, ids[1:3])
        assert ids[1] in changes.gone
        assert ids[0] not in changes.gone
        pages = [page async for page in again.newer(changes.cursor)]
        came = {s.id for page in pages for s in page.summaries}
        assert len(came - set(ids)) == 1, "what is new is listed"
        assert set(changes.flags) - (set() if rig.tells_news else came - set(ids)) == {ids[3]}
        assert {"seen", "Invoice"} <= changes.flags[ids[3]]
        assert came <= {*ids[3:4], *(came - set(ids))} if not rig.tells_news else len(came) == 1
        after = changes.cursor if rig.tells_news else pages[-1].cursor
        calm = await again.open("INBOX", since={"INBOX": Since(state.uidvalidity, after)})
        assert calm.changes is not None
        assert (list(calm.changes.gone or ()), dict(calm.changes.flags)) == ([], {})
        other = await again.open("INBOX", since={"INBOX": Since(1, after)})
        assert other.changes is None, "another UIDVALIDITY is another folder"
        await again.close()


async def test_an_empty_folder_has_no_pages(rig: Rig):
    store = await rig.inbox()
    assert await listed(store) == []
    assert await fetched(store, []) == {}
    assert await store.read_headers([]) == {}
    await store.close()


async def test_reading_gives_the_exact_bytes_and_sets_nothing(rig: Rig):
    contents = [*SMALL, LARGE]
    rig.fill(contents)
    store = await rig.inbox()
    ids = [s.id for s in await listed(store)][::-1]
    got = await fetched(store, ids)
    assert list(got) == ids
    assert [c.bytes() if c else None for c in got.values()] == contents[::-1]
    assert isinstance(got[ids[0]], Spool)
    assert not any(isinstance(got[key], Spool) for key in ids[1:])
    blocks = await store.read_headers(ids)
    assert [blocks[key] for key in ids] == [c[: c.index(b"\r\n\r\n") + 4] for c in contents[::-1]]
    assert all("seen" not in s.flags for s in await store.summaries(ids))
    await store.close()


async def test_deleting_takes_exactly_these(rig: Rig):
    rig.fill(SMALL[:4])
    store = await rig.inbox()
    ids = [s.id for s in await listed(store)]
    assert await store.delete([ids[1], ids[3]]) is True
    assert [s.id for s in await store.summaries(ids)] == [ids[0], ids[2]]
    got = await fetched(store, ids)
    assert [key for key, content in got.items() if content is None] == [ids[1], ids[3]]
    await store.close()
    store = await rig.inbox()
    assert [s.id for s in await listed(store)] == [ids[0], ids[2]]
    await store.close()


async def test_read_only_changes_nothing(rig: Rig):
    rig.fill(SMALL[:1])
    await (
        await rig.inbox()
    ).close()  # Courier numbers a folder when it is first opened for changes
    store = await rig.inbox(read_only=True)
    ids = [s.id for s in await listed(store)]
    with pytest.raises(FolderError):
        await store.delete(ids)
    store.abandon()
    store = await rig.inbox()
    assert [s.id for s in await listed(store)] == ids
    assert (await store.summaries(ids))[0].flags <= {"\\Recent"}
    await store.close()


async def test_flags_and_keywords(rig: Rig):
    rig.fill(SMALL[:2])
    store = await rig.inbox()
    needs(store, "flags")
    ids = [s.id for s in await listed(store)]
    await store.flag(ids[:1], add=["seen", "flagged", "Invoice"])
    await store.flag(ids[:1], remove=["flagged"])
    first, second = await store.summaries(ids)
    assert {"seen", "Invoice"} <= first.flags
    assert "flagged" not in first.flags
    assert not second.flags & {"seen", "Invoice"}
    await store.close()


async def test_moving_and_copying_tell_the_new_ids(rig: Rig):
    rig.fill(SMALL[:3])
    store = await rig.open()
    inbox = await store.open("INBOX", read_only=False)
    needs(store, "move")
    ids = [s.id for s in await listed(store)]
    await store.create("Done")
    copied = await store.copy(ids[:1], "Done")
    moved = await store.move(ids[1:], "\\Archive")
    assert set(copied) == set(ids[:1])
    assert set(moved) == set(ids[1:])
    assert [s.id for s in await listed(store)] == ids[:1]
    await store.open("Done")
    assert [s.id for s in await listed(store)] == list(copied.values())
    archive = await store.open("Archive")
    assert {s.id for s in await listed(store)} == set(moved.values())
    got = await fetched(store, list(moved.values()))
    assert [c.bytes() if c else None for c in got.values()] == SMALL[1:3]
    if archive.uidvalidity != inbox.uidvalidity:  # Courier gives both that of the second
        with pytest.raises(FolderError):
            await store.summaries(ids[:1])  # an id of another folder
    await store.close()


async def test_moving_to_a_folder_that_is_missing_moves_nothing(rig: Rig):
    rig.fill(SMALL[:1])
    store = await rig.inbox()
    needs(store, "move")
    ids = [s.id for s in await listed(store)]
    with pytest.raises(FolderError) as caught:
        await store.move(ids, "Nowhere")
    assert caught.value.code == "folder_missing"
    assert [s.id for s in await store.summaries(ids)] == ids
    await store.close()


async def test_appending(rig: Rig):
    store = await rig.inbox()
    needs(store, "append")
    key = await store.append("Sent", SMALL[0], flags=["seen"])
    await store.open("Sent")
    (summary,) = await listed(store)
    assert summary.id == key
    assert "seen" in summary.flags
    (content,) = (await fetched(store, [key])).values()
    assert content is not None
    assert content.bytes() == SMALL[0]
    await store.close()


async def test_searching(rig: Rig):
    rig.fill([b"Subject: apples\r\n\r\nred\r\n", b"Subject: pears\r\n\r\ngreen\r\n"])
    store = await rig.inbox()
    needs(store, "search")
    apples, pears = (s.id for s in await listed(store))
    await store.flag([pears], add=["seen"])
    for criteria, found in (
        ("ALL", [apples, pears]),
        ("UNSEEN", [apples]),
        ('SUBJECT "pear"', [pears]),
        ("NOT SUBJECT pear", [apples]),
        ("OR SUBJECT apple BODY green", [apples, pears]),
        ("SEEN (BODY green)", [pears]),
        *([("LARGER 100000", [])] if rig.tells_sizes else []),
        ("2:*", [pears]),
        ("BEFORE 1-Jan-2001", []),
    ):
        assert await store.search(criteria) == found, criteria
    await store.close()


async def test_waiting_hears_of_an_arrival(rig: Rig):
    store = await rig.inbox()
    needs(store, "push")
    assert await store.wait(0.2) is False
    waiting = asyncio.create_task(store.wait(10))
    await asyncio.sleep(0.2)
    rig.fill(SMALL[:1])
    assert await waiting is True
    assert len(await listed(store)) == 1
    await store.close()


async def test_a_check_keeps_the_wire_alive(rig: Rig):
    rig.fill(SMALL[:1])
    store = await rig.inbox()
    await listed(store)
    assert await store.check() is False
    await store.close()


async def test_what_a_store_cannot_do_it_refuses(rig: Rig):
    rig.fill(SMALL[:1])
    store = await rig.inbox()
    ids = [s.id for s in await listed(store)]
    verbs: dict[str, Callable[[], Awaitable[object]]] = {
        "folders": lambda: store.create("Done"),
        "flags": lambda: store.flag(ids, add=["seen"]),
        "move": lambda: store.move(ids, "Done"),
        "copy": lambda: store.copy(ids, "Done"),
        "append": lambda: store.append("INBOX", SMALL[0]),
        "search": lambda: store.search("ALL"),
        "push": lambda: store.wait(0.1),
    }
    for feature, verb in verbs.items():
        if not getattr(store.features, feature):
            with pytest.raises(WireError) as caught:
                await verb()
            assert caught.value.code == "not_supported", feature
    assert [s.id for s in await store.summaries(ids)] == ids
    await store.close()


async def test_an_abandoned_store_says_that_it_is_gone(rig: Rig):
    store = await rig.inbox()
    store.abandon()
    store.abandon()
    with pytest.raises(WireError) as caught:
        await store.check()
    assert caught.value.code == "connection_lost"
    assert caught.value.temporary
