"""Usage: what refers to a record or waits under it, its last use, and refusals with the same list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.journeys.conftest import Cli

if TYPE_CHECKING:
    from tests.ground import User


def used(cli: Cli, noun: str, name: str) -> set[tuple[str, str, str, str, int]]:
    """The items of a usage."""
    answer = cli(noun, "usage", name, "--json")
    assert answer.status == 0, answer
    return {
        (one["noun"], one["name"], one["place"], one["via"], one["number"])
        for one in answer.json["items"]
    }


def test_a_credential_is_used_through_connections_and_says_who_opened_it_last(
    cli: Cli, wired: User
) -> None:
    """What names it, what inherits it, and what works over those: all that stops without it."""
    over = {("source", "orders-in", "connection", "acme", 1),
            ("service", "orders-out", "connection", "acme", 1)}  # fmt: skip
    own = {("connection", "acme", f"{side}.auth", "", 1) for side in ("incoming", "outgoing")}
    assert used(cli, "credential", "ACME-LOGIN") == over | own
    cli("connection", "add", "child", "--extends", "acme", "--set", "incoming.port=1")
    inherited = {("connection", "child", f"{side}.auth", "acme", 1)
                 for side in ("incoming", "outgoing")}  # fmt: skip
    assert used(cli, "credential", "acme-login") == over | own | inherited
    found = cli("credential", "usage", "acme-login", "--json").json
    assert (found["used_at"], found["used_by"]) == (None, "")
    assert cli("source", "run", "orders-in").status == 0
    found = cli("credential", "usage", "acme-login", "--json").json
    assert found["used_at"].endswith("Z")
    assert found["used_by"].startswith("local:")
    assert found["used_for"] == "open the incoming side of connection acme"
    told = cli("credential", "usage", "acme-login").out
    assert f"Last used {found['used_at']} by {found['used_by']} (open the incoming" in told
    refused = cli("credential", "delete", "acme-login", "--yes", "--json")
    assert (refused.status, refused.json["code"]) == (1, "in_use")
    assert len(refused.json["uses"]) == len(over | own | inherited)


def test_the_last_use_is_not_that_of_an_earlier_record_of_the_name(cli: Cli, wired: User) -> None:
    assert cli("source", "run", "orders-in").status == 0
    assert cli("credential", "delete", "acme-login", "--yes", "--force").status == 0
    made = cli("credential", "add", "acme-login", "--type", "password", "--user-name", "a",
               "--password-from-env", "ACME_PASSWORD")  # fmt: skip
    assert made.status == 0, made.err
    assert cli("credential", "usage", "acme-login", "--json").json["used_at"] is None


def test_a_connection_is_used_through_what_extends_it(cli: Cli, wired: User) -> None:
    cli("connection", "add", "child", "--extends", "acme", "--set", "incoming.port=1")
    cli("service", "add", "more", "--connection", "child")
    assert used(cli, "connection", "acme") == {
        ("connection", "child", "extends", "", 1),
        ("source", "orders-in", "connection", "", 1),
        ("service", "orders-out", "connection", "", 1),
        ("service", "more", "connection", "child", 1),
    }
    assert "service more (connection of child)" in cli("connection", "delete", "acme", "--yes").err
    assert cli("source", "run", "orders-in").status == 0
    shown = cli("connection", "show", "acme").out
    assert "last_used" in shown
    assert " by local:" in shown


def test_a_service_with_waiting_messages_is_not_deleted_by_accident(cli: Cli, wired: User) -> None:
    """They are counted by state; --force deletes the service, and the messages stay to be seen."""
    send = ("send", "--via", "orders-out", "--to", wired.address, "--text", "x", "--forget")
    items = [cli(*send, "--json").json["id"] for _ in range(3)]
    assert cli("outbox", "hold", items[0]).status == 0
    assert used(cli, "service", "Orders-Out") == {
        ("outbox", "orders-out", "queued", "", 2),
        ("outbox", "orders-out", "held", "", 1),
    }
    told = cli("service", "usage", "orders-out").out
    assert "HOW MANY" in told
    assert " by local:" in told
    refused = cli("service", "delete", "orders-out", "--yes")
    assert refused.status == 1
    assert "1 held message in the outbox of orders-out, 2 queued messages in" in refused.err
    assert cli("service", "delete", "orders-out", "--yes", "--force").status == 0
    assert len(cli("outbox", "list", "--json").json["items"]) == 3


def test_messages_that_wait_under_a_credential_keep_it(cli: Cli) -> None:
    """A credential used without a service has an implicit one; its messages would be stranded."""
    cli(
        "credential",
        "add",
        "relay",
        "--type",
        "smtp",
        "--host",
        "127.0.0.1",
        "--port",
        "1",
        "--description",
        "The relay of the office",
    )
    sent = cli("send", "--via", "relay", "--from", "a@example.com", "--to", "b@example.com",
               "--text", "x", "--forget")  # fmt: skip
    assert sent.status == 0, sent.err
    assert used(cli, "credential", "relay") == {("outbox", "credential:relay", "queued", "", 1)}
    assert "in_use" in cli("credential", "delete", "relay", "--yes", "--json").out
    assert cli("credential", "delete", "relay", "--yes", "--force").status == 0


def test_a_source_says_what_it_has_not_finished(cli: Cli, wired: User, ground: Any) -> None:
    assert "No worker collects for source orders-in" in cli("source", "usage", "orders-in").out
    ground.dovecot.fill(wired, [b"Subject: one\r\n\r\nx\r\n"])
    assert cli("source", "set", "orders-in", "--set", "max_size=1B").status == 0
    assert cli("source", "run", "orders-in").status == 1
    assert used(cli, "source", "orders-in") == {("ledger", "orders-in", "held", "", 1)}


def test_a_variable_is_used_by_settings_and_what_works_over_them(cli: Cli, wired: User) -> None:
    assert cli("variable", "set", "MAIL_HOST", "127.0.0.1").status == 0
    assert used(cli, "variable", "MAIL_HOST") == set()
    changed = cli("connection", "set", "acme", "--set", "incoming.host=${MAIL_HOST}")
    assert changed.status == 0, changed.err
    assert cli("source", "set", "orders-in", "--set", "folders.done=x${MAIL_HOST}").status == 0
    cli("connection", "add", "child", "--extends", "acme", "--set", "outgoing.port=1")
    assert used(cli, "variable", "MAIL_HOST") == {
        ("connection", "acme", "incoming.host", "", 1),
        ("connection", "child", "incoming.host", "acme", 1),
        ("source", "orders-in", "folders.done", "", 1),
        ("source", "orders-in", "connection", "acme", 1),
        ("service", "orders-out", "connection", "acme", 1),
    }
    refused = cli("variable", "delete", "MAIL_HOST", "--yes")
    assert refused.status == 1
    assert "connection acme (incoming.host)" in refused.err
    assert "connection child (incoming.host of acme)" in refused.err
    assert cli("variable", "usage", "MAIL_HOTS").status == 2
