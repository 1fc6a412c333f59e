"""What a connection's declaration takes and refuses, with sentences a person can use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from postroom.connections.connection import Connection, Incoming, Outgoing
from postroom.connections.defaults import port_and_security
from postroom.errors import WrongUse
from postroom.fields import describe, parse, shown
from postroom.protocols import WIRES, Wire

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "a b"}, "has a space"),
    ({"name": "a", "type": "microsoft365", "incoming": {}}, "no incoming and no outgoing"),
    ({"name": "a", "mailbox": "a@b.example"}, "type standard has no mailbox"),
    (
        {"name": "a", "type": "microsoft365", "auth": {"type": "none"}},
        "signed in to by OAuth, not by none",
    ),
    ({"name": "a", "type": "other"}, "choose 'standard'"),
    ({"name": "a", "mail_box": "x@y"}, "there is no field 'mail_box'"),
    ({"name": "a", "incoming": {"hots": "x"}}, "Did you mean host?"),
    ({"name": "a", "incoming": {"protocol": "smtp"}}, "choose 'imap', 'pop3' or 'none'"),
    ({"name": "a", "outgoing": {"protocol": "imap"}}, "choose 'smtp' or 'none'"),
    ({"name": "a", "outgoing": {"read_only": True}}, "there is no field 'outgoing.read_only'"),
    ({"name": "a", "incoming": {"port": "99999"}}, "1 to 65535"),
    ({"name": "a", "incoming": {"port": "imaps"}}, "1 to 65535"),
    ({"name": "a", "incoming": {"port": True}}, "incoming.port"),
    ({"name": "a", "incoming": {"security": "ssl"}}, "choose 'tls', 'starttls' or 'none'"),
    ({"name": "a", "incoming": {"user": "a\r\nX LOGOUT"}}, "line break"),
    ({"name": "a", "incoming": {"auth": {"type": "secret"}}}, "needs a credential"),
    ({"name": "a", "incoming": {"auth": {"credential": "c"}}}, "auth.type"),
    ({"name": "a", "incoming": {"auth": {"type": "none", "credential": "c"}}}, "no credential"),
    (
        {"name": "a", "incoming": {"auth": {"type": "oauth_device_flow"}}},
        "OAuth needs a client",
    ),
    (
        {"name": "a", "incoming": {"auth": {"type": "secret", "credential": "c", "scopes": ["x"]}}},
        "type secret has no scopes",
    ),
    (
        {
            "name": "a",
            "incoming": {
                "auth": {
                    "type": "oauth_device_flow",
                    "credential": "c",
                    "redirect_uri": "http://localhost",
                }
            },
        },
        "has no redirect_uri",
    ),
    (
        {"name": "a", "incoming": {"auth": {"type": "secret", "credentail": "c"}}},
        "mean credential?",
    ),
]


@pytest.mark.parametrize(("body", "sentence"), REFUSED)
def test_refused_with_a_sentence(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WrongUse) as caught:
        parse(Connection, body, where="connection a")
    assert sentence in str(caught.value)
    assert "connection a" in str(caught.value)


def test_what_is_given_comes_back_and_nothing_else() -> None:
    incoming: dict[str, Any] = {
        "protocol": "imap", "host": "${MAIL}", "port": 993, "auth": {"type": "none"},
        "check_server_identity": True, "user": "",
    }  # fmt: skip
    back = shown(parse(Connection, {"name": "acme", "incoming": incoming}))
    # true and the empty text are kept: they override what a parent says
    assert back == {"name": "acme", "incoming": incoming | {"port": "993"}}


def test_forms_know_every_field() -> None:
    fields = {field.name: field for field in describe(Connection)}
    assert fields["incoming.auth.credential"].refers_to == "credential"
    assert fields["incoming.trust"].refers_to == "credential"
    assert fields["extends"].refers_to == "connection"
    assert {name for name, field in fields.items() if field.macro} == {
        f"{side}.{name}"
        for side in ("incoming", "outgoing")
        for name in (
            "host",
            "port",
            "user",
            "proxy",
            "account",
            "auth.authority",
            "auth.client_id",
            "auth.scopes",
            "auth.redirect_uri",
        )
    } | {
        "mailbox", "account", "graph_url", "proxy", "auth.authority", "auth.client_id",
        "auth.scopes", "auth.redirect_uri",
    }  # fmt: skip
    assert all(field.label for field in fields.values())


# DESIGN 4.2: protocol, port, security given -> port, security that hold
DEFAULTS = [
    ("imap", None, None, 993, "tls"),
    ("pop3", None, None, 995, "tls"),
    ("smtp", None, None, 465, "tls"),
    ("imap", 993, None, 993, "tls"),
    ("pop3", 995, None, 995, "tls"),
    ("smtp", 465, None, 465, "tls"),
    ("imap", 143, None, 143, "starttls"),
    ("pop3", 110, None, 110, "starttls"),
    ("smtp", 25, None, 25, "starttls"),
    ("smtp", 587, None, 587, "starttls"),
    ("smtp", 2525, None, 2525, "starttls"),
    ("imap", 10143, None, 10143, "tls"),
    ("imap", None, "tls", 993, "tls"),
    ("imap", None, "starttls", 143, "starttls"),
    ("imap", None, "none", 143, "none"),
    ("pop3", None, "tls", 995, "tls"),
    ("pop3", None, "starttls", 110, "starttls"),
    ("pop3", None, "none", 110, "none"),
    ("smtp", None, "tls", 465, "tls"),
    ("smtp", None, "starttls", 587, "starttls"),
    ("smtp", None, "none", 25, "none"),
    ("smtp", 587, "none", 587, "none"),
    ("imap", 143, "tls", 143, "tls"),
]


@pytest.mark.parametrize(("protocol", "port", "security", "port_held", "held"), DEFAULTS)
def test_port_and_security(
    protocol: str, port: int | None, security: Any, port_held: int, held: str
) -> None:
    assert port_and_security(protocol, port, security) == (port_held, held)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_every_wire_is_a_choice_of_its_side_and_opens_it(wire: Wire) -> None:
    """One line names a protocol: the side offers it, and the package opens it."""
    for place, model in (("incoming", Incoming), ("outgoing", Outgoing)):
        [options] = [one.options for one in describe(model) if one.name == "protocol"]
        assert (wire.name in options) is (wire.side == place)
    package = import_module(f"postroom.protocols.{wire.name}")
    assert callable(package.open_store if wire.side == "incoming" else package.open_transport)
    assert port_and_security(wire.name, None, "starttls")[0] == wire.ports["starttls"]
