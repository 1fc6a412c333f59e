"""Canonical destination lines and their digest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue
from postroom.net.destination import digest, https_line, wire_line
from postroom.net.tls import Tls
from tests.ground.pki import Pki


def test_the_line_of_a_wire_reads_as_documented() -> None:
    assert wire_line("imap", "IMAP.Example.com.", 993, "tls", Tls(), None) == (
        "imap://imap.example.com:993;security=tls;trust=system;name=checked;proxy=none"
    )
    assert wire_line("smtp", "::1", 587, "starttls", Tls(check_name=False), ("Proxy", 3128)) == (
        "smtp://[::1]:587;security=starttls;trust=system;name=unchecked;proxy=proxy:3128"
    )
    assert https_line("login.example.com", 443, Tls(), None) == (
        "https://login.example.com:443;trust=system;proxy=none"
    )


def test_everything_that_changes_who_answers_changes_the_line(pki: Pki) -> None:
    trusting = Tls(trust=(pki.ca.read_text(),))
    lines = {
        wire_line("imap", "a.example", 993, "tls", Tls(), None),
        wire_line("pop3", "a.example", 993, "tls", Tls(), None),
        wire_line("imap", "b.example", 993, "tls", Tls(), None),
        wire_line("imap", "a.example", 994, "tls", Tls(), None),
        wire_line("imap", "a.example", 993, "starttls", Tls(), None),
        wire_line("imap", "a.example", 993, "tls", Tls(check_name=False), None),
        wire_line("imap", "a.example", 993, "tls", trusting, None),
        wire_line("imap", "a.example", 993, "tls", Tls(), ("p.example", 8080)),
    }
    assert len(lines) == 8


def test_trust_is_named_by_the_certificates_not_by_their_text(pki: Pki) -> None:
    ca = pki.ca.read_text()
    leaf = pki.pairs["good"].cert.read_text()
    one = Tls(trust=(ca,)).trust_id
    assert one.startswith("sha256:")
    assert len(one) == 7 + 64
    assert Tls(trust=("a comment\r\n" + ca.replace("\n", "\r\n") + "\n\n",)).trust_id == one
    assert Tls(trust=(ca, leaf)).trust_id == Tls(trust=(leaf + ca,)).trust_id != one
    with pytest.raises(InvalidValue, match="no certificate"):
        _ = Tls(trust=("hello",)).trust_id


def test_the_digest_is_of_the_set_and_lines_do_not_run_together() -> None:
    assert digest(["b", "a", "b"]) == digest(["a", "b"])
    assert digest(["ab"]) != digest(["a", "b"]) != digest([])
    assert len(digest([])) == 32


@given(st.sets(st.text(max_size=20)), st.sets(st.text(max_size=20)))
def test_two_lists_have_one_digest_only_if_they_are_one(one: set[str], other: set[str]) -> None:
    assert (digest(one) == digest(other)) == (one == other)
