"""The table of advice: for each failure, what a person is told to do."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from postroom.connections.advice import About, advise, fingerprint
from postroom.connections.providers import provider_of
from postroom.errors import (
    DialError,
    FolderError,
    PostroomError,
    SignInError,
    TlsError,
    WireError,
)
from postroom.net.certificates import CertificateFacts

UTC = dt.UTC
LEAF = CertificateFacts(
    subject="CN=mail.acme.test", issuer="CN=Acme CA", names=("mail.acme.test", "*.acme.test"),
    not_before=dt.datetime(2026, 1, 1, tzinfo=UTC), not_after=dt.datetime(2026, 2, 1, tzinfo=UTC),
    sha256="0a" * 32, self_signed=False,
)  # fmt: skip
ROOT = dataclasses.replace(LEAF, subject="CN=Acme CA", self_signed=True, sha256="0b" * 32, names=())
PIN = dataclasses.replace(LEAF, self_signed=True)

ABOUT = About(
    noun="connection", name="acme", place="incoming", protocol="imap", host="imap.example.com",
    port=993, security="tls", credential="acme-login",
)  # fmt: skip


def about(**changes: object) -> About:
    return dataclasses.replace(ABOUT, **changes)  # type: ignore[arg-type]


UNTRUSTED = TlsError("x", code="certificate_untrusted", hint="the hint")
REFUSED = SignInError("x", hint="the hint")
OUTGOING = {"place": "outgoing", "protocol": "smtp"}

# error, about, what the advice says, the commands
TABLE: list[tuple[PostroomError, About, list[str], list[str]]] = [
    (
        UNTRUSTED, about(certificates=(LEAF, ROOT)),
        ["private authority, CN=Acme CA", "0B:0B:0B", "this fingerprint is right"],
        ["postroom connection trust acme incoming 0b0b0b"],
    ),
    (UNTRUSTED, about(certificates=(LEAF,)), ["CN=Acme CA, which it does not show", "0A:0A"],
     ["postroom connection trust acme incoming 0a0a"]),
    (UNTRUSTED, about(certificates=(PIN,)), ["signed by itself", "0A:0A"],
     ["postroom connection trust acme incoming 0a0a"]),
    (UNTRUSTED, about(), ["the hint"], []),
    (UNTRUSTED, about(noun="credential", name="mailer", certificates=(PIN,), **OUTGOING),
     ["signed by itself"], ["postroom credential trust mailer 0a0a"]),
    (TlsError("x", code="certificate_name", hint="the hint"), about(certificates=(LEAF,)),
     ["mail.acme.test, *.acme.test"], ["incoming.host=mail.acme.test"]),
    (TlsError("x", code="certificate_name", hint="the hint"), about(), ["the hint"], []),
    (TlsError("x", code="certificate_expired", hint="Renew."), about(certificates=(LEAF,)),
     ["from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z", "Renew."], []),
    (TlsError("x", reason="WRONG_VERSION_NUMBER"), about(port=143),
     ["did not speak TLS at once on port 143", "security starttls", "port 993"],
     ["incoming.security=starttls"]),
    (TlsError("x", code="timed_out", step="tls"), about(port=587, **OUTGOING),
     ["security starttls", "port 465"], ["outgoing.security=starttls"]),
    (TlsError("x", code="tls_unavailable"), about(port=143, security="starttls"),
     ["no STARTTLS", "port 993"], ["incoming.security=tls"]),
    (TlsError("x", reason="HANDSHAKE_FAILURE", hint="Update."), ABOUT, ["Update."], []),
    (DialError("x", code="timed_out", hint="firewall"), about(port=25, **OUTGOING),
     ["Most networks block port 25", "587"], ["outgoing.port=587"]),
    (DialError("x", code="timed_out", hint="firewall"), about(port=587, **OUTGOING),
     ["firewall"], []),
    (DialError("x", code="host_unknown", hint="spelled"), ABOUT, ["spelled"], []),
    (DialError("x", code="connect_refused", hint="port"), ABOUT, ["port"], []),
    (WireError("x", code="timed_out", step="greeting"), about(security="starttls"),
     ["said nothing", "security tls"], ["incoming.security=tls"]),
    (WireError("x", code="timed_out", step="greeting", hint="later"), ABOUT, ["later"], []),
    (SignInError("x", offered=[]), about(security="none"),
     ["no sign-in without TLS"], ["incoming.security=starttls"]),
    (SignInError("x", code="not_supported", hint="OAuth perhaps"), ABOUT, ["OAuth perhaps"], []),
    (SignInError("x", temporary=True), ABOUT, ["put the sign-in off", "not refused"], []),
    (REFUSED, ABOUT, ["never worked here yet", "An app password is"],
     ["postroom credential set acme-login"]),
    (REFUSED, about(last_worked=1767225600.0), ["worked last on 2026-01-01T00:00:00Z"],
     ["postroom credential set acme-login"]),
    (REFUSED, about(host="imap.gmail.com"),
     ["Gmail takes an app password", "An app password is", "myaccount.google.com/apppasswords"],
     ["postroom credential set acme-login"]),
    (REFUSED, about(host="outlook.office365.com"), ["OAuth", "learn.microsoft.com"],
     ["postroom credential set acme-login"]),
    (SignInError("x", said="[AUTH] Client didn't present valid SSL certificate"), ABOUT,
     ["lets nobody sign in without a certificate"], ["incoming.client_certificate=NAME"]),
    (FolderError("x", hint="Look at the list of folders."), ABOUT, ["list of folders"], []),
]  # fmt: skip


@pytest.mark.parametrize(("error", "tried", "says", "commands"), TABLE)
def test_advice(error: PostroomError, tried: About, says: list[str], commands: list[str]) -> None:
    advice = advise(error, tried)
    for part in says:
        assert part in advice.text
    assert len(advice.commands) == len(commands)
    for part, command in zip(commands, advice.commands, strict=True):
        assert part in command


def test_microsoft_is_not_sent_for_an_app_password() -> None:
    text = advise(REFUSED, about(host="outlook.office365.com")).text
    assert "An app password is a password for one program" not in text


def test_fingerprints_look_as_other_tools_print_them() -> None:
    assert fingerprint("0a1bff") == "0A:1B:FF"


@pytest.mark.parametrize(
    ("host", "name"),
    [("imap.gmail.com", "Google"), ("smtp.mail.yahoo.com", "Yahoo"), ("imap.mail.me.com", "Apple"),
     ("imap.fastmail.com", "Fastmail"), ("imap.gmx.net", "GMX"), ("imap.web.de", "WEB.DE"),
     ("imappro.zoho.eu", "Zoho"), ("outlook.office365.com", "Microsoft"),
     ("imap.aol.com", "AOL"), ("imap.mail.com", "mail.com")],
)  # fmt: skip
def test_providers(host: str, name: str) -> None:
    found = provider_of(host)
    assert found is not None
    assert found.name == name
    assert found.link.startswith("https://")


@pytest.mark.parametrize("host", ["imap.example.com", "notgmail.com", "com", "127.0.0.1", "::1"])
def test_no_provider(host: str) -> None:
    assert provider_of(host) is None
