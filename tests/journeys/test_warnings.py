"""What weakens a connection is said wherever connections are shown (DESIGN 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.journeys.conftest import Cli

if TYPE_CHECKING:
    from tests.ground import User


def test_the_list_warns_as_the_record_does(cli: Cli, wired: User) -> None:
    assert cli("connection", "list", "--json").json["items"][0]["warnings"] == []
    assert cli("connection", "list").err == ""
    weak = cli(
        "connection", "add", "weak",
        "--set", "incoming.protocol=imap", "--set", "incoming.host=imap.example.com",
        "--set", "incoming.check_server_identity=false",
        "--set", "outgoing.protocol=smtp", "--set", "outgoing.host=smtp.example.com",
        "--set", "outgoing.security=none", "--set", "outgoing.cleartext_sign_in=true",
        "--set", "outgoing.auth={type: secret, credential: acme-login}", "--rebind",
    )  # fmt: skip
    assert weak.status == 0, weak.err
    row = cli("connection", "list", "--json").json["items"][1]
    assert row["warnings"] == cli("connection", "show", "weak", "--json").json["warnings"]
    assert [one.partition(":")[0] for one in row["warnings"]] == ["incoming", "outgoing"]
    told = " ".join(cli("connection", "list").err.split())
    assert "Note: weak: incoming: the server's name is not checked" in told
    assert "Note: weak: outgoing: the sign-in goes to smtp.example.com without TLS" in told
    assert "acme:" not in told
