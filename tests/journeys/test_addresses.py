"""Addresses as people give them: lists in one flag, and senders that are refused when saved."""

from __future__ import annotations

import pytest

from tests.ground import Ground, User
from tests.journeys.conftest import Cli


def test_a_flag_takes_a_list_of_addresses(cli: Cli, wired: User, ground: Ground) -> None:
    """Semicolons, commas and repeated flags together (DESIGN 4.4); each address once."""
    others = [ground.user().address for _ in range(3)]
    answer = cli(
        "send", "--via", "orders-out", "--to", f"{others[0]}; Ann <{others[1]}>", "--to", others[0],
        "--cc", f"{others[2]},", "--text", "t", "--json",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert [each["address"] for each in answer.json["recipients"]] == others


@pytest.mark.parametrize(
    ("noun", "setting", "place"),
    [
        ("service", "from=nobody", "from"),
        ("service", "from=${WHO}", "from"),
        ("service", 'allowed_senders=["rubbish x"]', "allowed_senders"),
        ("connection", 'allowed_senders=["rubbish x"]', "allowed_senders"),
    ],
)
def test_a_sender_that_cannot_be_is_refused_when_saved(
    cli: Cli, wired: User, noun: str, setting: str, place: str
) -> None:
    cli("variable", "set", "WHO", "two@example.com, three@example.com")
    name = {"service": "orders-out", "connection": "acme"}[noun]
    answer = cli(noun, "set", name, "--set", setting)
    assert answer.status == 2
    assert place in answer.err


def test_a_list_of_senders_may_be_one_text(cli: Cli, wired: User) -> None:
    allowed = "allowed_senders=a@example.com; *@Example.org"
    assert cli("service", "set", "orders-out", "--set", allowed).status == 0
    shown = cli("service", "show", "orders-out", "--json").json
    assert shown["allowed_senders"] == ["a@example.com", "*@example.org"]
