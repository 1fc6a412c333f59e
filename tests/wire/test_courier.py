"""Collecting from real Courier over IMAP and POP3: what it does otherwise than Dovecot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from postroom.errors import SignInError, WireError
from postroom.protocols.base import Security, SignIn
from postroom.protocols.imap import ImapStore
from postroom.protocols.imap import open_store as open_imap
from postroom.protocols.pop3 import Pop3Store
from postroom.protocols.pop3 import open_store as open_pop3
from postroom.secret import Secret
from tests.ground import Ground, User, messages
from tests.ground.courier import Courier
from tests.ground.maildir import read
from tests.wire.outgoing import password, target
from tests.wire.test_store_contract import Spooled, fetched, listed

__all__: list[str] = []

PORTS: list[tuple[str, Security]] = [
    ("imap", "none"), ("imap", "starttls"), ("imaps", "tls"),
    ("pop3", "none"), ("pop3", "starttls"), ("pop3s", "tls"),
]  # fmt: skip
EIGHT_BIT = [
    "From: Jürgen <j@ground.test>\r\nSubject: Größe\r\n\r\nä\r\n".encode(),
    b"Subject: Gr\xf6\xdfe\r\n\r\n\xe4\r\n",
    b"Subject: body\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa4 and \x00\r\n",
]


@pytest.fixture
def courier(ground: Ground) -> Courier:
    return ground.courier


@pytest.fixture
def user(courier: Courier) -> User:
    return courier.user()


async def opened(ground: Ground, user: User, port: str, security: Security = "tls") -> Any:
    opener: Callable[..., Awaitable[Any]] = open_imap if port.startswith("imap") else open_pop3
    there = target(getattr(ground.courier, port), security, ground.pki, cleartext=True)
    return await opener(there, password(user))


async def imap(ground: Ground, user: User) -> ImapStore:
    store: ImapStore = await opened(ground, user, "imaps")
    await store.open("INBOX", read_only=False)
    return store


@pytest.mark.parametrize(("port", "security"), PORTS)
@pytest.mark.parametrize("secret", ['pä ss"w\\o{r}d%:&=+', "x" * 600])
async def test_strange_and_long_passwords_sign_in_by_every_way(
    ground: Ground, port: str, security: Security, secret: str
):
    store = await opened(ground, ground.courier.user(secret), port, security)
    assert (await store.open("INBOX")).exists == 0
    assert secret not in "\n".join(store.pump.transcript.lines())
    await store.close()


async def test_a_wrong_password_is_refused_after_five_seconds(ground: Ground, user: User):
    wrong = User(user.address, "wr0ng-pa55", user.maildir)
    found = await asyncio.gather(
        opened(ground, wrong, "imaps"), opened(ground, wrong, "pop3s"), return_exceptions=True
    )
    for error in found:
        assert isinstance(error, SignInError)
        assert (error.code, error.temporary) == ("sign_in_failed", False)
        assert error.said in {"Login failed.", "Authentication failed."}


@pytest.mark.parametrize("kind", ["imaps", "pop3s"])
async def test_every_kind_of_message_comes_as_it_is(ground: Ground, user: User, kind: str):
    """Over POP3 a header with 8-bit bytes comes wrapped in a notice, unless UTF8 was asked for."""
    contents = [*EIGHT_BIT, *(messages.sample(each).raw for each in messages.KINDS)]
    ground.courier.fill(user, contents)
    store = await opened(ground, user, kind)
    await store.open("INBOX")
    rows = await listed(store)
    got = await fetched(store, [row.id for row in rows])
    assert [c.bytes() if c else None for c in got.values()] == contents
    assert [row.size for row in rows] == [len(content) for content in contents]
    blocks = await store.read_headers([row.id for row in rows])
    assert list(blocks.values()) == [c[: c.index(b"\r\n\r\n") + 4] for c in contents]
    await store.close()


@pytest.mark.parametrize(
    "name",
    ['Q"uote', "back\\slash", "R&D", "100%", "star*", "Do{ne}", "#hash", "日本", "a/b/c", "Ü/x y"],
)
async def test_folders_below_its_inbox_have_the_names_people_write(
    ground: Ground, user: User, name: str
):
    ground.courier.fill(user, [messages.small(1)])
    store = await imap(ground, user)
    assert {"INBOX", "Archive", "Trash"} <= {folder.name for folder in await store.folders()}
    await store.create(name)
    await store.create(name)
    found = {folder.name: folder for folder in await store.folders()}
    assert found[name].selectable
    (row,) = await listed(store)
    moved = await store.move([row.id], name)
    await store.open(name)
    assert [row.id for row in await listed(store)] == list(moved.values())
    await store.close()


async def test_without_move_only_what_was_named_goes(ground: Ground, user: User):
    """COPY, \\Deleted and UID EXPUNGE: what somebody else marked as deleted stays."""
    ground.courier.fill(user, [messages.small(0)], flags="ST")
    ground.courier.fill(user, [messages.small(n) for n in (1, 2)], flags="S")
    store = await imap(ground, user)
    rows = await listed(store)
    doomed = next(row.id for row in rows if "deleted" in row.flags)
    one, two = (row.id for row in rows if row.id != doomed)
    await store.flag([one], add=["Invoice"])
    moved = await store.move([one], "Archive")
    assert await store.delete([two]) is True
    assert [row.id for row in await listed(store)] == [doomed]
    await store.open("Archive")
    (row,) = await listed(store)
    assert row.id == moved[one]
    assert row.flags >= {"seen", "Invoice"}
    assert "deleted" not in row.flags
    await store.close()


async def test_hundreds_of_scattered_messages(ground: Ground, user: User):
    contents = [messages.small(n) for n in range(600)]
    ground.courier.fill(user, contents)
    store = await imap(ground, user)
    ids = [row.id for row in await listed(store)]
    got = await fetched(store, ids[1::2])
    assert [c.bytes() if c else None for c in got.values()] == contents[1::2]
    await store.flag(ids[1::2], add=["flagged"])
    assert len(await store.move(ids[1::2], "Archive")) == 300
    assert await store.delete(ids[::4]) is True
    assert [row.id for row in await listed(store)] == ids[2::4]
    await store.close()
    pop3: Pop3Store = await opened(ground, user, "pop3s")
    await pop3.open("INBOX", read_only=False)
    left = [row.id for row in await listed(pop3)]
    assert len(left) == 150
    assert await pop3.delete(left[:100]) is True
    await pop3.close()
    for _ in range(100):  # it says goodbye first and deletes then
        if len(read(user.maildir)) == 50:
            break
        await asyncio.sleep(0.05)
    assert len(read(user.maildir)) == 50


async def test_a_large_message_goes_in_and_comes_out(ground: Ground, user: User):
    store = await imap(ground, user)
    raw = messages.large(5_000_000).raw
    key = await store.append("Sent", raw, flags=["seen"])
    await store.open("Sent")
    (found,) = [f async for batch in store.fetch([key], Spooled) for f in batch]
    assert found.content is not None
    assert found.content.bytes() == raw
    await store.close()


async def test_what_comes_after_an_empty_start_is_new(ground: Ground, user: User):
    """SELECT tells no UIDNEXT: it is one more than the last uid."""
    ground.courier.fill(user, [messages.small(n) for n in range(3)])
    store = await imap(ground, user)
    state = await store.open("INBOX")
    assert state.next_cursor == "3"
    await store.close()
    ground.courier.fill(user, [messages.small(4)])
    store = await imap(ground, user)
    assert [row.uid for row in await listed(store, state.next_cursor)] == [4]
    await store.close()


@pytest.mark.parametrize(("port", "security", "most"), [("pop3", "none", 4), ("pop3s", "tls", 4)])
async def test_one_connection_too_many_is_temporary_and_says_why_it_may_be(
    ground: Ground, user: User, port: str, security: Security, most: int
):
    stores = [await opened(ground, user, port, security) for _ in range(most)]
    with pytest.raises(WireError) as caught:
        await opened(ground, user, port, security)
    assert caught.value.temporary
    assert "connections from one address" in caught.value.hint
    for store in stores:
        await store.close()


async def test_oauth_is_refused_before_a_token_leaves(ground: Ground, user: User):
    for port, opener in (("imaps", open_imap), ("pop3s", open_pop3)):
        there = target(getattr(ground.courier, port), "tls", ground.pki)
        with pytest.raises(SignInError) as caught:
            await opener(there, SignIn("token", user.address, Secret("t0ken")))
        assert caught.value.code == "not_supported"
