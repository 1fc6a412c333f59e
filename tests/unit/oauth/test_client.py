"""Several client secrets at once: which is shown, when the next is tried, what is said of it."""

from __future__ import annotations

import pytest

from postroom.errors import SignInError
from postroom.oauth.client import Client, ClientSecret, in_order
from postroom.oauth.discovery import Endpoints
from postroom.oauth.tokens import client_credentials, refresh
from postroom.secret import Secret
from tests.unit.oauth.script import (
    AUTHORITY,
    NOW,
    SERVER,
    answer,
    client,
    fields,
    play,
    refusal,
    tokens,
)

__all__: list[str] = []

DAY = 86_400.0
REFUSED = refusal("invalid_client", "AADSTS7000215: Invalid client secret provided.", 401)
EXPIRED = refusal("invalid_client", "AADSTS7000222: The provided client secret is expired.", 401)


def dated(**days: float | None) -> list[ClientSecret]:
    """Secrets by label, each valid for so many days from now; None: no date."""
    return [
        ClientSecret(label, Secret(label), None if left is None else NOW + left * DAY)
        for label, left in days.items()
    ]


@pytest.mark.parametrize(
    ("secrets", "current", "order"),
    [
        (dated(old=10, new=300), "", ["new", "old"]),
        (dated(new=300, old=10), "", ["new", "old"]),
        (dated(old=10, new=300), "old", ["old", "new"]),
        (dated(old=-1, new=300), "old", ["new"]),
        (dated(old=-20, newer=-1), "", ["newer", "old"]),
        (dated(undated=None, dated=5), "", ["dated", "undated"]),
        (dated(first=None, second=None), "", ["second", "first"]),
        (dated(), "", []),
    ],
)
def test_the_newest_valid_one_comes_first(
    secrets: list[ClientSecret], current: str, order: list[str]
) -> None:
    assert [each.label for each in in_order(secrets, NOW, current)] == order


@pytest.mark.parametrize(
    "refused",
    [
        REFUSED,
        EXPIRED,
        refusal("invalid_client", status=401),
        refusal("unauthorized_client", "AADSTS7000222: The provided secret is expired."),
    ],
)
def test_a_refused_secret_falls_back_once_and_both_are_named(refused: object) -> None:
    made = Client("client-1", tuple(dated(old=10, new=300)))
    flow = client_credentials(made, SERVER, ("mail",), at=NOW)
    played = play(flow, [refused, tokens()])  # type: ignore[list-item]
    assert [fields(each)["client_secret"] for each in played.asked] == ["new", "old"]
    assert (played.result.proof, played.result.refused) == ("old", ("new",))


def test_a_third_secret_is_not_tried() -> None:
    made = Client("client-1", tuple(dated(a=1, b=2, c=3)))
    with pytest.raises(SignInError) as caught:
        play(client_credentials(made, SERVER, (), at=NOW), [REFUSED, EXPIRED])
    assert caught.value.facts["refused"] == ["c", "b"]
    assert caught.value.sentence == "The client secret has expired."
    assert caught.value.code == "sign_in_failed"


@pytest.mark.parametrize(
    "other",
    [
        refusal("invalid_scope"),
        refusal("invalid_grant"),
        refusal("unauthorized_client", "AADSTS700016: no such application"),
        refusal("temporarily_unavailable", status=503),
        refusal("invalid_client", status=503),
        answer(b"<html>", 502),
    ],
)
def test_only_a_refused_client_tries_the_next(other: object) -> None:
    with pytest.raises(SignInError) as caught:
        play(client_credentials(client("a", "b"), SERVER, (), at=NOW), [other])  # type: ignore[list-item]
    assert not caught.value.facts.get("refused")


@pytest.mark.parametrize(
    ("methods", "method", "basic"),
    [
        (("client_secret_post",), "", False),
        (("client_secret_basic", "client_secret_post"), "", False),
        (("client_secret_basic",), "", True),
        ((), "", True),
        ((), "client_secret_post", False),
        (("client_secret_post",), "client_secret_basic", True),
    ],
)
def test_the_secret_goes_as_the_server_takes_it(
    methods: tuple[str, ...], method: str, basic: bool
) -> None:
    server = Endpoints(token_endpoint=f"{AUTHORITY}/token", methods=methods)
    made = client("a", method=method)
    asked = play(client_credentials(made, server, (), at=NOW), [tokens()]).asked[0]
    assert ("client_secret" in fields(asked)) is not basic
    if basic:
        assert asked.basic is not None
        assert (asked.basic.user, asked.basic.password.reveal()) == ("client-1", "a-value")
        assert "client_id" not in fields(asked)


def test_requests_show_no_secret_of_theirs() -> None:
    for server in (SERVER, Endpoints(token_endpoint=f"{AUTHORITY}/token")):
        flow = refresh(client("a"), server, Secret("rt-hunter2"), at=NOW, prove=True)
        asked = play(flow, [tokens("at-hunter2")]).asked[0]
        assert "a-value" not in repr(asked)
        assert "rt-hunter2" not in repr(asked)
        assert {each.reveal() for each in asked.secrets()} == {"a-value", "rt-hunter2"}


@pytest.mark.parametrize(
    "asks",
    [
        refusal("invalid_client", "AADSTS7000218: client_assertion or client_secret", 401),
        refusal("invalid_client", status=401),
        refusal("invalid_request", "client_secret is missing."),
    ],
)
def test_a_person_s_flow_shows_a_secret_only_when_it_is_asked_for(asks: object) -> None:
    flow = refresh(client("a"), SERVER, Secret("rt"), at=NOW)
    played = play(flow, [asks, tokens()])  # type: ignore[list-item]
    assert ["client_secret" in fields(each) for each in played.asked] == [False, True]
    assert played.result.proof == "a"
    assert play(refresh(client("a"), SERVER, Secret("rt"), at=NOW), [tokens()]).result.proof == ""


def test_a_public_client_that_is_refused_has_nothing_else_to_show() -> None:
    wants = refusal("invalid_client", "AADSTS7000218: client_assertion or client_secret", 401)
    with pytest.raises(SignInError, match="wants a client secret") as caught:
        play(refresh(client(), SERVER, Secret("rt"), at=NOW), [wants])
    assert "Allow public client flows" in caught.value.hint
    assert caught.value.facts["refused"] == []


def test_a_doubtful_secret_comes_after_those_that_nothing_speaks_against() -> None:
    """What waits to be proven, however long it is valid; and last what was refused last."""
    old = ClientSecret("old", Secret("old"), NOW + DAY)
    new = ClientSecret("new", Secret("new"), NOW + 700 * DAY, doubt=1)
    bad = ClientSecret("bad", Secret("bad"), NOW + 900 * DAY, doubt=2)
    assert [each.label for each in in_order([bad, new, old], NOW)] == ["old", "new", "bad"]
    gone = ClientSecret("old", Secret("old"), NOW - DAY)
    assert [each.label for each in in_order([bad, new, gone], NOW)] == ["new", "bad"]
