"""Presets and guides by command line: little is left to type, and nothing is looked up elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.app import Room
from postroom.operations.presetting import FromPreset, presets
from tests.journeys.conftest import Cli

PASSWORD = "canary-preset-password"


@pytest.fixture
def given(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A room with a password, an app at Google, and an app at Microsoft."""
    monkeypatch.setenv("A_PASSWORD", PASSWORD)
    for step in (
        ("login", "--type", "password", "--user-name", "ann@gmail.com",
         "--password-from-env", "A_PASSWORD"),
        ("google-app", "--preset", "gmail", "--client-id", "123.apps.googleusercontent.com"),
        ("entra-app", "--type", "msgraph", "--tenant-id", "contoso.com", "--client-id", "1234",
         "--client-secrets.one.value-from-env", "A_PASSWORD"),
    ):  # fmt: skip
        answer = cli("credential", "add", *step)
        assert answer.status in (0, 3), answer.err
    return cli


def side(cli: Cli, name: str, place: str) -> dict[str, Any]:
    found: dict[str, Any] = cli("connection", "show", name, "--json").json["effective"][place]
    return found


def test_a_preset_fills_hosts_ports_and_security(given: Cli) -> None:
    made = given(
        "connection", "add", "ann", "--preset", "gmail", "--user", "ann@gmail.com",
        "--credential", "login",
    )  # fmt: skip
    assert made.status == 0, made.err
    assert "app password" in made.err
    incoming, outgoing = side(given, "ann", "incoming"), side(given, "ann", "outgoing")
    assert (incoming["host"], incoming["port"], incoming["security"]) == (
        "imap.gmail.com",
        993,
        "tls",
    )
    assert (outgoing["host"], outgoing["port"], outgoing["user"]) == (
        "smtp.gmail.com", 465, "ann@gmail.com",
    )  # fmt: skip
    assert incoming["auth"]["type"] == "secret"


def test_an_app_at_google_has_its_endpoints_and_its_scope(given: Cli) -> None:
    made = given(
        "connection", "add", "ann", "--preset", "gmail", "--user", "ann@gmail.com",
        "--credential", "google-app", "--set", "incoming.protocol=pop3",
    )  # fmt: skip
    assert made.status == 0, made.err
    assert "Sign in, once: postroom connection signin ann" in made.err
    incoming = side(given, "ann", "incoming")
    assert (incoming["host"], incoming["port"]) == ("pop.gmail.com", 995)
    assert incoming["auth"]["type"] == "oauth_authorization_code"
    assert incoming["auth"]["scopes"] == ["https://mail.google.com/"]
    app = given("credential", "show", "google-app", "--json").json
    assert app["fields"]["token_endpoint"] == "https://oauth2.googleapis.com/token"
    assert app["fields"]["revocation_endpoint"] == "https://oauth2.googleapis.com/revoke"
    assert app["fields"]["authorization_endpoint"] == "https://accounts.google.com/o/oauth2/v2/auth"


def test_an_app_that_is_known_needs_no_name_of_its_credential(given: Cli) -> None:
    made = given(
        "connection", "add", "ann", "--preset", "gmail", "--user", "ann@gmail.com",
        "--client-id", "123.apps.googleusercontent.com",
    )  # fmt: skip
    assert made.status == 0, made.err


def test_an_app_at_google_without_its_token_endpoint_is_told_how_to_get_it(given: Cli) -> None:
    """The refresh token would go to an origin that nobody named."""
    bare = given(
        "credential", "add", "bare", "--type", "oauth_client", "--client-id", "456",
        "--authority", "https://accounts.google.com",
    )  # fmt: skip
    assert bare.status == 0, bare.err
    made = (
        "connection", "add", "ann", "--preset", "gmail", "--user", "ann@gmail.com",
        "--credential", "bare",
    )  # fmt: skip
    refused = given(*made)
    assert refused.status == 2
    command = "postroom credential set bare --token-endpoint https://oauth2.googleapis.com/token"
    assert command in refused.err
    assert given(*command.split()[1:]).status == 0
    assert given(*made).status == 0


def test_what_is_given_besides_wins(given: Cli) -> None:
    made = given(
        "connection", "add", "ann", "--preset", "microsoft365", "--user", "ann@contoso.com",
        "--credential", "entra-app", "--set", "outgoing.protocol=none",
        "--set", "incoming.host=outlook.office.example",
    )  # fmt: skip
    assert made.status == 0, made.err
    incoming = side(given, "ann", "incoming")
    assert incoming["host"] == "outlook.office.example"
    assert incoming["auth"]["type"] == "oauth_client_credentials"
    assert given("connection", "show", "ann", "--json").json["effective"]["outgoing"] is None


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--preset", "gmial", "--user", "a@gmail.com"), "did you mean gmail?"),
        (("--preset", "gmail", "--user", "a@gmail.com"), "--credential NAME"),
        (("--preset", "gmail", "--credential", "google-app", "--auth", "oauth_device_flow"),
         "has no oauth_device_flow"),
        (("--preset", "icloud", "--client-id", "1"), "no OAuth for mail"),
        (("--preset", "gmail", "--user", "a@gmail.com", "--client-id", "another"),
         "postroom credential add NAME --preset gmail --client-id another"),
        (("--preset", "icloud", "--credential", "login", "--set", "incoming.protocol=pop3"),
         "has no pop3"),
        (("--preset", "microsoft365", "--client-id", "1", "--auth", "oauth_device_flow"),
         "Directory (tenant) ID"),
        (("--user", "a@gmail.com"), "go with --preset"),
    ],
)  # fmt: skip
def test_what_does_not_fit_says_what_would(given: Cli, flags: tuple[str, ...], told: str) -> None:
    refused = given("connection", "add", "ann", *flags)
    assert refused.status == 2
    assert told in refused.err
    assert given("connection", "show", "ann").status == 2


async def test_the_library_has_the_same(room: Room) -> None:
    await room.credentials.create(
        "login", "password", details={"user_name": "ann@icloud.com", "password": PASSWORD}
    )
    made = await room.connections.add(
        {"name": "ann"}, preset=FromPreset("icloud", "ann@icloud.com", credential="login")
    )
    assert made["effective"]["incoming"]["host"] == "imap.mail.me.com"


def test_presets_are_listed_and_explained(cli: Cli) -> None:
    listed = cli("explain", "presets", "--json").json["items"]
    assert [one["preset"] for one in listed] == [one["preset"] for one in presets()]
    for one in listed:
        told = cli("explain", one["preset"])
        assert told.status == 0
        assert one["seen"] in told.out


# ------------------------------------------------------------------ the guide


def test_the_guide_has_the_values_to_copy(cli: Cli) -> None:
    told = cli("guide", "microsoft", "--mailbox", "orders@contoso.com", "--name", "Orders")
    assert told.status == 0
    for wanted in ("1. Register the app", "IMAP.AccessAsApp", "SMTP.SendAsApp", "New-ServicePrincipal",
                   "Grant admin consent", "orders@contoso.com", "Orders",
                   "Accounts in this organizational directory only"):  # fmt: skip
        assert wanted in told.out
    found = cli("guide", "google", "--json").json
    assert (found["provider"], found["flow"]) == ("google", "oauth_authorization_code")
    assert {"title", "where", "do", "values", "note", "who"} == set(found["steps"][0])


def test_the_guide_is_filled_in_from_a_connection(given: Cli) -> None:
    given(
        "connection", "add", "shared", "--preset", "microsoft365", "--user", "orders@contoso.com",
        "--credential", "entra-app", "--set", "incoming.protocol=pop3",
    )  # fmt: skip
    told = given("guide", "--connection", "shared")
    assert "client credentials" in told.out
    assert "POP.AccessAsApp" in told.out
    assert "IMAP.AccessAsApp" not in told.out
    script = given("guide", "--connection", "shared", "--script", "powershell")
    assert "foreach ($permission in 'POP.AccessAsApp', 'SMTP.SendAsApp')" in script.out
    assert "Add-MailboxPermission -Identity $mailbox" in script.out
    assert "'orders@contoso.com'" in script.out
    assert PASSWORD not in script.out + script.err + told.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "Whose guide?"),
        (("yahoo",), "microsoft and google"),
        (("microsoft", "--flow", "magic"), "one of client_credentials"),
        (("google", "--flow", "device-flow"), "oauth_authorization_code only"),
        (("google", "--script", "az"), "only Microsoft"),
        (("microsoft", "--wires", "imap,uucp"), "has no uucp"),
        (("microsoft", "--mailbox", "'; rm -rf /"), "write addresses like"),
        (("microsoft", "--script", "az"), "use powershell"),
    ],
)
def test_a_guide_that_cannot_be_says_why(cli: Cli, words: tuple[str, ...], told: str) -> None:
    refused = cli("guide", *words)
    assert refused.status == 2
    assert told in refused.err


def test_a_connection_elsewhere_has_no_guide(given: Cli) -> None:
    given("connection", "add", "ann", "--preset", "icloud", "--user", "a@me.com",
          "--credential", "login")  # fmt: skip
    refused = given("guide", "--connection", "ann")
    assert refused.status == 1
    assert "neither at Microsoft nor at Google" in refused.err
