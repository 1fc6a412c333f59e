"""The ``allowed_senders`` of a connection: from whom may be sent over it."""

from __future__ import annotations

import pytest

from tests.ground import Ground, User
from tests.journeys.conftest import Answer, Cli
from tests.journeys.outgoing import message_ids

BOSS = "boss@ground.test"
PARTNER = "ann@partner.test"


def send(cli: Cli, via: str, sender: str, to: str) -> Answer:
    """``postroom send --from`` somebody."""
    return cli("send", "--via", via, "--from", sender, "--to", to, "--subject", "s",
               "--text", "x", "--json")  # fmt: skip


def do(cli: Cli, *words: str) -> None:
    """A command that has to succeed."""
    answer = cli(*words)
    assert answer.status == 0, answer.err + answer.out


def refused(cli: Cli, via: str, sender: str, to: str) -> Answer:
    """It is not sent, not stored, and says which sender and how to allow it."""
    before = len(cli("outbox", "list", "--json").json["items"])
    answer = send(cli, via, sender, to)
    assert answer.status == 1
    assert answer.json["code"] == "sender_not_allowed"
    assert sender in answer.out
    assert "--allowed-senders" in answer.out
    assert len(cli("outbox", "list", "--json").json["items"]) == before
    return answer


@pytest.mark.parametrize(
    "via", ["orders-out", "connection:acme", "branch-out", "connection:branch"]
)
def test_the_connection_says_from_whom(cli: Cli, wired: User, ground: Ground, via: str) -> None:
    """T72: by a service, by the connection itself, and by one that extends it."""
    other = ground.user()
    do(cli, "connection", "add", "branch", "--extends", "acme", "--yes")
    do(cli, "service", "add", "branch-out", "--connection", "branch")
    do(cli, "connection", "set", "acme", "--set", 'allowed_senders=["*@partner.test"]')
    answer = refused(cli, via, BOSS, other.address)
    assert "*@partner.test" in answer.out, "who may instead"
    assert message_ids(other) == []
    for sender in (PARTNER, wired.address):
        answer = send(cli, via, sender, other.address)
        assert (answer.status, answer.json["state"]) == (0, "sent"), answer
    assert len(cli("outbox", "list", "--json").json["items"]) == 2


def test_a_child_and_a_service_replace_the_list_whole(
    cli: Cli, wired: User, ground: Ground
) -> None:
    """Lists are never merged: an empty one leaves the own address, another one only its own."""
    other = ground.user()
    do(cli, "connection", "set", "acme", "--set", 'allowed_senders=["*@partner.test"]')
    do(
        cli,
        "connection",
        "add",
        "closed",
        "--extends",
        "acme",
        "--set",
        "allowed_senders=[]",
        "--yes",
    )
    do(cli, "service", "add", "bosses", "--connection", "acme", "--set",
       f'allowed_senders=["{BOSS}"]')  # fmt: skip
    refused(cli, "closed", PARTNER, other.address)
    assert send(cli, "closed", wired.address, other.address).status == 0
    refused(cli, "bosses", PARTNER, other.address)
    assert send(cli, "bosses", BOSS, other.address).status == 0


def test_a_relay_without_sign_in_is_held_to_its_list(cli: Cli, ground: Ground) -> None:
    """Without a list anybody may; with one nobody else, since there is no account of its own."""
    other = ground.user()
    do(cli, "connection", "add", "relay", "--set", "outgoing.protocol=smtp",
       "--set", "outgoing.host=127.0.0.1", "--set", f"outgoing.port={ground.postfix.relay}",
       "--set", "outgoing.security=none")  # fmt: skip
    assert send(cli, "relay", BOSS, other.address).status == 0
    do(cli, "connection", "set", "relay", "--set", f'allowed_senders=["{PARTNER}"]')
    refused(cli, "relay", BOSS, other.address)
    assert send(cli, "relay", PARTNER, other.address).status == 0
    assert len(message_ids(other)) == 2
