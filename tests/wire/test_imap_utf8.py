"""UTF8=ACCEPT (RFC 6855): names of folders in UTF-8, and APPEND of what has an 8-bit header."""

from __future__ import annotations

import pytest

from postroom.errors import FolderError
from postroom.protocols.base import Limits, SignIn
from postroom.protocols.imap import ImapStore, open_store
from postroom.secret import Secret
from tests.ground import Ground
from tests.ground.scripted import Expect, ScriptedServer, Send, Step, Take
from tests.wire.imap_ground import target
from tests.wire.outgoing import password
from tests.wire.outgoing import target as over_tls
from tests.wire.test_store_contract import fetched, listed

USER = SignIn("password", "user", Secret("pass-word-1"))
QUICK = Limits(reply_timeout=2, connect_timeout=2)
EIGHT_BIT = "From: Jürgen <jürgen@bücher.example>\r\nSubject: Größe\r\n\r\nä\r\n".encode()
PLAIN = b"From: a@example.com\r\nSubject: x\r\n\r\n\xc3\xa4\r\n"


def begun(capabilities: bytes, enabled: bytes) -> list[Step]:
    return [
        Send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n"),
        Expect(rb"(?P<tag>\w+) AUTHENTICATE PLAIN \S+"),
        Send(b"{tag} OK [CAPABILITY IMAP4rev1 ENABLE LITERAL+ %s] in\r\n" % capabilities),
        Expect(rb"(?P<enable>\w+) ENABLE UTF8=ACCEPT"),
        Send(enabled + b"{enable} OK x\r\n"),
        Expect(rb'(?P<tag>\w+) LIST "" ""'),
        Send(b'* LIST (\\Noselect) "." ""\r\n{tag} OK x\r\n'),
    ]


async def opened(server: ScriptedServer) -> ImapStore:
    return await open_store(target(None, server.port, host="127.0.0.1", limits=QUICK), USER)


@pytest.mark.parametrize("capability", [b"UTF8=ACCEPT", b"UTF8=ONLY"])
async def test_names_are_utf8_between_quotes(capability: bytes) -> None:
    """An ampersand is an ampersand, and no go-ahead is waited for; UTF8=ONLY wants it as well."""
    script: list[Step] = [
        *begun(capability, b"* ENABLED UTF8=ACCEPT\r\n"),
        Expect(rb'(?P<tag>\w+) EXAMINE "R&D\.Entw\xc3\xbcrfe\.\\"x\\""'),
        Send(b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 1] x\r\n{tag} OK x\r\n"),
        Expect(rb'(?P<tag>\w+) LIST "" "\*"'),
        Send(
            '* LIST () "." "R&D.Entwürfe"\r\n* LIST () "." "&APw-"\r\n'.encode()
            + '* LIST () "." {4}\r\nÜ.a\r\n{tag} OK x\r\n'.encode()
        ),
    ]
    async with ScriptedServer(script) as server:
        store = await opened(server)
        assert (await store.open('R&D/Entwürfe/"x"')).name == 'R&D/Entwürfe/"x"'
        found = [folder.name for folder in await store.folders()]
        assert found == ["R&D/Entwürfe", "&APw-", "Ü/a"]
        store.abandon()


async def test_a_server_that_announces_it_and_does_not_enable_it() -> None:
    """Its names stay in modified UTF-7, and what it is given too."""
    script: list[Step] = [
        *begun(b"UTF8=ACCEPT", b"* ENABLED\r\n"),
        Expect(rb'(?P<tag>\w+) EXAMINE "R&-D\.Entw&APw-rfe"'),
        Send(b"{tag} NO [NONEXISTENT] x\r\n"),
    ]
    async with ScriptedServer(script) as server:
        store = await opened(server)
        with pytest.raises(FolderError):
            await store.open("R&D/Entwürfe")
        store.abandon()


async def test_a_message_with_an_8bit_header_is_appended_as_utf8() -> None:
    """A literal8 within UTF8 (...); an 8-bit body alone needs nothing."""
    script: list[Step] = [
        *begun(b"UTF8=ACCEPT", b"* ENABLED UTF8=ACCEPT\r\n"),
        Expect(rb'(?P<tag>\w+) APPEND "\xc3\x9c" \(\\Seen\) UTF8 \(~\{%d\+\}' % len(EIGHT_BIT)),
        Take(len(EIGHT_BIT)),
        Expect(rb"\)"),
        Send(b"{tag} OK [APPENDUID 7 3] x\r\n"),
        Expect(rb'(?P<tag>\w+) APPEND "\xc3\x9c" \{%d\+\}' % len(PLAIN)),
        Take(len(PLAIN)),
        Expect(rb""),
        Send(b"{tag} OK [APPENDUID 7 4] x\r\n"),
    ]
    async with ScriptedServer(script) as server:
        store = await opened(server)
        assert await store.append("Ü", EIGHT_BIT, flags=["seen"]) == "7-3"
        assert await store.append("Ü", PLAIN) == "7-4"
        assert EIGHT_BIT in server.transcript.to_server
        store.abandon()


async def test_where_utf8_of_append_is_no_more_a_plain_literal_does() -> None:
    """RFC 9755 replaced RFC 6855; whoever says BAD to the one is given the other."""
    script: list[Step] = [
        *begun(b"UTF8=ACCEPT", b"* ENABLED UTF8=ACCEPT\r\n"),
        Expect(rb'(?P<tag>\w+) APPEND "\xc3\x9c" UTF8 \(~.*'),
        Take(len(EIGHT_BIT)),
        Expect(rb"\)"),
        Send(b"{tag} BAD unknown\r\n"),
        Expect(rb'(?P<tag>\w+) APPEND "\xc3\x9c" \{%d\+\}' % len(EIGHT_BIT)),
        Take(len(EIGHT_BIT)),
        Expect(rb""),
        Send(b"{tag} OK x\r\n"),
    ]
    async with ScriptedServer(script) as server:
        store = await opened(server)
        assert await store.append("Ü", EIGHT_BIT) == ""
        store.abandon()


async def test_courier_does_it(ground: Ground) -> None:
    """The real server: names, a message with an 8-bit header there and back, and no ALERT."""
    courier = ground.courier
    user = courier.user()
    store = await open_store(over_tls(courier.imaps, "tls", ground.pki), password(user))
    assert "UTF8=ACCEPT" in store.capabilities
    await store.create("Entwürfe & 日本/R&D")
    assert "Entwürfe & 日本/R&D" in [folder.name for folder in await store.folders()]
    assert await store.append("Entwürfe & 日本/R&D", EIGHT_BIT, flags=["seen"])
    state = await store.open("Entwürfe & 日本/R&D", read_only=False)
    assert state.exists == 1
    (row,) = await listed(store)
    (content,) = (await fetched(store, [row.id])).values()
    assert content is not None
    assert content.bytes() == EIGHT_BIT
    assert store.alerts == []
    await store.copy([row.id], "INBOX")
    assert (await store.open("INBOX")).exists == 1
    await store.close()
