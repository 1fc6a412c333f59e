"""What to do about a refused token, as a table: permission, audience, mailbox, delay."""

from __future__ import annotations

import dataclasses

import pytest

from postroom.connections.advice import About, advise
from postroom.connections.tokenadvice import TokenFacts, advise_token, told
from postroom.errors import SendError, SignInError

APP = TokenFacts(
    label="app at https://login.microsoftonline.com/t", flow="client_credentials", personal=False,
    client_id="1234", identity="", user="orders@contoso.com", exchange=True, readable=True,
    audience=("https://outlook.office365.com",), roles=(), scopes=(), expires_at=1_700_003_600.0,
)  # fmt: skip
PERSON = dataclasses.replace(
    APP, flow="device_flow", personal=True, identity="orders@contoso.com",
    scopes=("IMAP.AccessAsUser.All", "SMTP.Send"),
)  # fmt: skip
GOOGLE = dataclasses.replace(
    PERSON, exchange=False, readable=False, audience=(), scopes=("https://mail.google.com/",),
    identity="ann@gmail.com", user="ann@gmail.com",
)  # fmt: skip


def about(protocol: str) -> About:
    place = "outgoing" if protocol == "smtp" else "incoming"
    return About("connection", "acme", place, protocol, "mail.example.com", 993, "tls", "app")


def refusal(said: str = "", *, temporary: bool = False) -> SignInError:
    return SignInError("The server refused the token.", said=said, temporary=temporary)


@pytest.mark.parametrize(
    ("facts", "protocol", "wanted"),
    [
        (APP, "imap", ["no role IMAP.AccessAsApp", "New-ServicePrincipal -AppId 1234", "RBAC"]),
        (APP, "pop3", ["no role POP.AccessAsApp", "Add-MailboxPermission -Identity orders@contoso.com"]),
        (APP, "smtp", ["no role SMTP.SendAsApp", "Set-CASMailbox orders@contoso.com"]),
        (dataclasses.replace(APP, roles=("SMTP.SendAsApp",)), "smtp",
         ["has the role SMTP.SendAsApp", "Object ID of its enterprise application", "an hour"]),
        (dataclasses.replace(APP, audience=("https://graph.microsoft.com",)), "imap",
         ["for https://graph.microsoft.com", "want one for https://outlook.office365.com"]),
        (PERSON, "pop3", ["not granted POP.AccessAsUser.All", "postroom connection signin acme"]),
        (PERSON, "smtp", ["SMTP AUTH", "switched off"]),
        (dataclasses.replace(PERSON, user="shared@contoso.com"), "imap",
         ["orders@contoso.com signed in, and the mailbox is shared@contoso.com", "Full Access"]),
        (GOOGLE, "imap", ["https://mail.google.com/", "ann@gmail.com", "mail.example.com refused"]),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(facts: TokenFacts, protocol: str, wanted: list[str]) -> None:
    found = advise_token(refusal(), about(protocol), facts)
    text = "\n".join((found.text, *found.commands))
    assert [each for each in wanted if each not in text] == []
    assert "app password" not in text


def test_what_the_server_says_comes_first() -> None:
    said = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant"
    found = advise_token(refusal(said), about("smtp"), APP)
    assert found.text.startswith("The organisation has switched sending by SMTP off")


def test_a_refusal_for_now_and_other_steps() -> None:
    later = advise_token(refusal(temporary=True), about("imap"), APP)
    assert "the token was not refused" in later.text
    denied = SendError(
        "No.", said="554 5.2.252 SendAsDenied; orders not allowed to send as ann", code="rejected"
    )
    for found in (advise_token(denied, about("smtp"), APP), advise(denied, about("smtp"))):
        assert "Send As" in found.text
        assert "can take an hour" in found.text


def test_values_that_are_no_words_are_not_put_into_commands() -> None:
    odd = dataclasses.replace(APP, client_id="1; rm -rf /", user="$(whoami)")
    found = advise_token(refusal(), about("imap"), odd)
    assert "New-ServicePrincipal -AppId APP_ID -ObjectId OBJECT_ID" in found.commands
    assert not any("whoami" in command for command in found.commands)


def test_a_token_in_a_line() -> None:
    line = told(APP, 1_700_000_000.0)
    assert line.endswith("(60 min)")
    assert "it names no role" in line
    assert "it names no role" not in told(GOOGLE, 0.0)
