"""Effective connections: macros, cleartext, trust, proxies, and the destinations they come to."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.connections.references import check_references
from postroom.connections.resolver import destinations_of
from postroom.credentials.types.addresses import proxy_of
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, PostroomError, WrongUse
from postroom.net.dial import Policy
from postroom.net.names import is_loopback, parse_proxy
from postroom.protocols.base import Limits
from postroom.variables import store as variables
from tests.ground import Pki
from tests.unit.connections.rooms import SmallRoom

LOGIN = {"type": "secret", "credential": "login"}


def imap(**fields: Any) -> dict[str, Any]:
    return {"protocol": "imap", "host": "imap.example.com", "auth": LOGIN, **fields}


async def _set(room: SmallRoom, name: str, value: str) -> None:
    await room.db.write(lambda tx: variables.set_variable(tx, name, value))


async def _save(room: SmallRoom, name: str, **body: Any) -> None:
    """As somebody who checks nothing: what a resolver says of it is the test."""
    await room.connect(name, bind=False, **body)


async def test_the_line_is_what_is_dialled(room: SmallRoom) -> None:
    await _save(
        room, "acme", incoming=imap(host="IMAP.Example.COM."),
        outgoing={"protocol": "smtp", "host": "smtp.example.com", "port": "587",
                  "proxy": "proxy.example.com:3128"},
    )  # fmt: skip
    effective = await room.effective("acme")
    assert effective.incoming is not None
    assert effective.outgoing is not None
    assert effective.incoming.line == (
        "imap://imap.example.com:993;security=tls;trust=system;name=checked;proxy=none"
    )
    assert effective.outgoing.line == (
        "smtp://smtp.example.com:587;security=starttls;trust=system;name=checked;"
        "proxy=proxy.example.com:3128"
    )
    target = effective.outgoing.target(Limits(line=512), Policy(public_only=True))
    assert (target.route.host, target.route.port, target.security) == (
        "smtp.example.com", 587, "starttls",
    )  # fmt: skip
    assert target.route.proxy == ("proxy.example.com", 3128)
    assert target.route.policy.public_only
    assert target.limits.line == 512
    assert not target.sign_in_without_tls
    assert effective.incoming.user == "", "the credential's user name will do"


async def test_macros_stand_in_host_port_user_and_proxy(room: SmallRoom) -> None:
    await _set(room, "HOST", "mail.example.com")
    await _set(room, "PORT", "143")
    room.environ["MAIL_USER"] = "orders"
    await room.db.write(lambda tx: variables.allow_environment(tx, "MAIL_USER"))
    await _save(
        room, "acme",
        incoming=imap(host="${HOST}", port="${PORT}", user="${env:MAIL_USER}@x",
                      proxy="${HOST}:3128"),
    )  # fmt: skip
    side = (await room.effective("acme")).incoming
    assert side is not None
    assert (side.host, side.port, side.security, side.user, side.proxy) == (
        "mail.example.com", 143, "starttls", "orders@x", ("mail.example.com", 3128),
    )  # fmt: skip


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "invalid_value", "needs a side"),
    ({"incoming": {"protocol": "none"}, "outgoing": {"protocol": "none"}}, "invalid_value", "side"),
    ({"incoming": {"host": "h"}}, "invalid_value", "incoming.protocol: is needed"),
    ({"incoming": {"protocol": "imap"}}, "invalid_value", "incoming.host: is needed"),
    ({"incoming": imap(host="a b")}, "invalid_value", "incoming.host"),
    ({"incoming": imap(host="imap.example.com:993")}, "invalid_value", "port is given apart"),
    ({"incoming": imap(host="2130706433")}, "invalid_value", "four decimal numbers"),
    ({"incoming": imap(host="${NOWHERE}")}, "unknown_variable", "incoming.host: there is no"),
    ({"incoming": imap(host="${HOME}")}, "unknown_variable", "incoming.host"),
    ({"incoming": imap(host="${env:HOME}")}, "unknown_variable", "incoming.host"),
    ({"incoming": imap(host="${sec:login}")}, "invalid_value", "no kind of macro"),
    ({"incoming": imap(user="${date:%Y}")}, "invalid_value", "may not stand here"),
    ({"incoming": imap(port="${WORD}")}, "invalid_value", "incoming.port"),
    ({"incoming": imap(proxy="http://p")}, "invalid_value", "HOST:PORT"),
    ({"incoming": imap(trust="nobody")}, "invalid_value", "incoming.trust"),
    ({"incoming": imap(trust="login")}, "invalid_value", "incoming.trust"),
    ({"incoming": imap(security="none")}, "cleartext_sign_in", "cleartext_sign_in: true"),
    ({"incoming": imap(security="none", host="127.0.0.1", proxy="p.example.com:1")},
     "cleartext_sign_in", "cleartext_sign_in: true"),
    ({"outgoing": {"protocol": "smtp", "host": "h.example.com", "security": "none", "auth": LOGIN}},
     "cleartext_sign_in", "outgoing.security"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "sentence"), REFUSED)
async def test_refused(room: SmallRoom, body: dict[str, Any], code: str, sentence: str) -> None:
    await room.password("login", "u", "a password")
    await _set(room, "WORD", "abc")
    room.environ["HOME"] = "/home/somebody"
    await _save(room, "acme", **body)
    with pytest.raises(PostroomError) as caught:
        await room.effective("acme")
    assert caught.value.code == code
    assert sentence in str(caught.value)
    assert "connection acme" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({"host": "127.0.0.1", "security": "none"}, 0),
        ({"host": "localhost", "security": "none"}, 0),
        ({"security": "none", "cleartext_sign_in": True}, 1),
        ({"security": "none", "auth": {"type": "none"}}, 0),
        ({"security": "none", "auth": {"type": "none"}, "cleartext_sign_in": True}, 0),
        ({"check_server_identity": False}, 1),
        ({"check_server_identity": False, "security": "none", "cleartext_sign_in": True}, 1),
        ({"cleartext_sign_in": True}, 0),
    ],
)
async def test_permitted_and_warned_of(
    room: SmallRoom, fields: dict[str, Any], warnings: int
) -> None:
    await _save(room, "acme", incoming=imap(**fields))
    effective = await room.effective("acme")
    assert len(effective.warnings) == warnings
    assert effective.as_json()["warnings"] == effective.warnings


async def test_trust_is_part_of_the_line(room: SmallRoom, pki: Pki) -> None:
    await room.credential("ca", "trusted_certificate", {"certificate": pki.ca.read_text()})
    await _save(room, "acme", incoming=imap(trust="CA", check_server_identity=False))
    side = (await room.effective("acme")).incoming
    assert side is not None
    assert ";trust=sha256:" in side.line
    assert ";name=unchecked;" in side.line
    assert side.tls.trust == (pki.ca.read_text().strip(),)


async def test_destinations_of_a_credential(room: SmallRoom) -> None:
    await _set(room, "HOST", "one.example.com")
    await _save(room, "acme", incoming=imap(host="${HOST}"),
                outgoing={"protocol": "smtp", "host": "smtp.example.com",
                          "auth": {"type": "secret", "credential": "LOGIN"}})  # fmt: skip
    await _save(room, "child", extends="acme", outgoing={"protocol": "none"},
                incoming={"port": "143"})  # fmt: skip
    await _save(room, "broken", incoming=imap(host="${GONE}"))
    await _save(room, "other", incoming=imap(auth={"type": "secret", "credential": "else"}))
    found = await room.db.read(lambda tx: room.resolver(tx).destinations("Login"))
    system = "trust=system;name=checked;proxy=none"
    assert found.lines == {
        f"imap://one.example.com:993;security=tls;{system}",
        f"imap://one.example.com:143;security=starttls;{system}",
        f"smtp://smtp.example.com:465;security=tls;{system}",
    }
    assert list(found.problems) == ["broken"]
    everything = await room.db.read(lambda tx: destinations_of(room.resolver(tx).all_sides()))
    assert everything["login"] == found.lines
    assert set(everything) == {"login", "else"}
    assert list(await room.db.read(lambda tx: room.resolver(tx).problems())) == ["broken"]


async def test_a_variable_moves_the_host(room: SmallRoom) -> None:
    await _set(room, "HOST", "one.example.com")
    await _save(room, "acme", incoming=imap(host="${HOST}"))

    def change(tx: Tx) -> tuple[set[str], set[str]]:
        before = destinations_of(room.resolver(tx).all_sides())["login"]
        variables.set_variable(tx, "HOST", "two.example.com")
        return before, destinations_of(room.resolver(tx).all_sides())["login"]

    before, after = await room.db.write(change)
    assert before != after
    assert "two.example.com" in after.pop()


async def test_checking_one_checks_all_that_inherit(room: SmallRoom) -> None:
    await _save(room, "top", incoming=imap())
    await _save(room, "middle", extends="top")
    await _save(room, "bottom", extends="middle", incoming={"security": "none"})
    found = await room.db.read(lambda tx: room.resolver(tx).family("TOP"))
    assert found == ["top", "middle", "bottom"]
    with pytest.raises(WrongUse, match="connection bottom"):
        await room.db.read(lambda tx: room.resolver(tx).check("top"))


async def test_a_circle_of_names_ends(room: SmallRoom) -> None:
    await _save(room, "a", extends="b")
    await _save(room, "b", extends="a")
    assert await room.db.read(lambda tx: room.resolver(tx).family("a")) == ["a", "b"]
    with pytest.raises(InvalidValue, match="circle"):
        await room.effective("a")
    with pytest.raises(NotThere):
        await room.effective("c")


@pytest.mark.parametrize(
    ("incoming", "sentence"),
    [
        (imap(auth={"type": "secret", "credential": "nobody"}), "auth.credential: There is no"),
        (imap(auth={"type": "secret", "credential": "other"}), "give one of password or secret"),
        (imap(auth={"type": "secret", "credential": "key"}), "incoming.user: is needed"),
        (imap(client_certificate="login"), "give one of certificate"),
        ({"protocol": "pop3", "host": "h"}, "POP3 always asks"),
    ],
)
async def test_references_are_checked(
    room: SmallRoom, incoming: dict[str, Any], sentence: str
) -> None:
    await room.password("login", "u", "a password")
    await room.credential("key", "secret", {"value": "k"})
    await room.credential("other", "generic", {})
    await _save(room, "acme", incoming=incoming)
    effective = await room.effective("acme")

    def check(tx: Tx) -> None:
        check_references(tx, room.credentials, effective)

    with pytest.raises(InvalidValue) as caught:
        await room.db.read(check)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proxy.example.com:3128", ("proxy.example.com", 3128)),
        ("[::1]:8080", ("::1", 8080)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("http://proxy.example.com:3128/", ("proxy.example.com", 3128)),
    ],
)
def test_proxies(text: str, expected: tuple[str, int]) -> None:
    assert parse_proxy(text) == expected


@pytest.mark.parametrize(
    "text", ["", "p", "p:", "p:0", "p:65536", ":1", "u:p@h:1", "::1:80", "h:1/x"]
)
def test_no_proxies(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_proxy(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
     ("a.localhost", True), ("localhost.example.com", False), ("10.0.0.1", False),
     ("notlocalhost", False)],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "text", ["proxy.example.com:3128", "http://P:3128/", "[::1]:8080", "p", "u:p@h:1"]
)
def test_a_proxy_is_written_alike_everywhere(text: str) -> None:
    """What a connection takes a credential takes, and what one refuses the other refuses."""
    try:
        expected = parse_proxy(text)
    except InvalidValue:
        with pytest.raises(ValueError, match="give HOST:PORT"):
            proxy_of(text)
        return
    assert proxy_of(text) == expected
