"""What the doctor says when Microsoft Graph refuses, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.connections.advice import About
from postroom.connections.graphadvice import advise_graph
from postroom.connections.tokenadvice import TokenFacts
from postroom.errors import SendError, TlsError, WireError

__all__: list[str] = []

GRAPH = "https://graph.microsoft.com"


def _facts(**more: Any) -> TokenFacts:
    whole: dict[str, Any] = {
        "label": "contoso", "flow": "client_credentials", "personal": False, "client_id": "app",
        "identity": "", "user": "orders@contoso.example", "exchange": True, "readable": True,
        "audience": (GRAPH,), "roles": (), "scopes": (), "expires_at": 0.0,
    }  # fmt: skip
    return TokenFacts(**whole | more)


def _about(place: str) -> About:
    return About("connection", "acme", place, "graph", "graph.microsoft.com", 443, "tls")


PERSON = {"personal": True, "flow": "device_flow", "identity": "ann@contoso.example"}


@pytest.mark.parametrize(
    ("place", "status", "facts", "words"),
    [
        ("incoming", 403, {}, "has no Mail.ReadWrite"),
        ("outgoing", 403, {"roles": ("Mail.ReadWrite",)}, "has no Mail.Send"),
        ("incoming", 403, {"roles": ("Mail.ReadWrite",)}, "fenced off from orders@contoso.example"),
        ("incoming", 403, PERSON, "has no Mail.ReadWrite.Shared"),
        (
            "incoming", 403, PERSON | {"scopes": ("Mail.ReadWrite.Shared",)},
            "ann@contoso.example has no access to orders@contoso.example",
        ),
        ("incoming", 401, {"audience": ("https://outlook.office365.com",)}, "wants one for itself"),
        ("incoming", 401, PERSON, "the hint"),
        ("incoming", 404, {}, "the hint"),
    ],
)  # fmt: skip
def test_the_missing_permission_is_named(
    place: str, status: int, facts: dict[str, Any], words: str
) -> None:
    error = WireError("no", hint="the hint", status=status)
    advice = advise_graph(error, _about(place), _facts(**facts))
    assert words in advice.text
    if status == 401 and facts == PERSON:
        assert advice.commands == ("postroom connection signin acme",)


def test_what_is_no_refusal_keeps_its_own_hint() -> None:
    error = TlsError("no TLS", hint="the hint")
    assert advise_graph(error, _about("incoming"), None).text == "the hint"


@pytest.mark.parametrize("facts", [None, _facts(roles=("Mail.Send",))])
def test_a_sender_that_may_not_be_is_advised_as_on_every_wire(facts: TokenFacts | None) -> None:
    said = "550 5.7.60 The account may not. The server said: 403 ErrorSendAsDenied: no"
    error = SendError("not taken", hint="Check the address.", said=said, status=403)
    told = advise_graph(error, _about("outgoing"), facts).text
    assert "Send As" in told
    assert "can take an hour" in told
