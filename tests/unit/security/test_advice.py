"""What people are told to paste into a shell is never chosen by the server."""

from __future__ import annotations

import datetime as dt

import pytest

from postroom.connections.advice import About, advise
from postroom.errors import TlsError
from postroom.net.certificates import CertificateFacts


def _told(*names: str) -> tuple[str, ...]:
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    facts = CertificateFacts(
        subject="CN=x", issuer="CN=x", names=names, not_before=day, not_after=day,
        sha256="00" * 32, self_signed=False, pem="",
    )  # fmt: skip
    about = About("connection", "acme", "incoming", "imap", "imap.example.com", 993, "tls",
                  certificates=(facts,))  # fmt: skip
    return advise(TlsError("Another name.", code="certificate_name"), about).commands


@pytest.mark.parametrize(
    "name", ["$(reboot)", "a;reboot", "a b", "`id`", "-x", "a\nreboot", "*.example.com", "a\x1b[2J"]
)
def test_a_name_in_a_certificate_becomes_no_command(name: str) -> None:
    """T47: whoever makes a certificate writes into it what they like."""
    assert _told(name) == ()
    assert _told(name, "mail.example.com") == (
        "postroom connection set acme --set incoming.host=mail.example.com",
    )
