"""What is told of a stored failure to whoever is no administrator."""

from __future__ import annotations

import pytest

from postroom.errors import DialError, NoServer, SignInError, TlsError, WireError
from postroom.net.veil import cut, parted, unanswered


def kept(error: WireError, where: str = "10.0.0.5:22", *, what: str = "mail server") -> str:
    unanswered(error, where, what=what)
    return error.kept(str(error))


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (DialError("10.0.0.5:22 refused the connection.", code="connect_refused"), False),
        (DialError("10.0.0.5:22 did not answer.", code="timed_out"), False),
        (TlsError("10.0.0.5:22 did not answer in TLS."), False),
        (WireError("It closed the connection.", code="connection_lost", step="greeting"), False),
        (DialError("There is no host called x.", code="host_unknown"), True),
        (DialError("It is not dialled.", code="address_refused"), True),
        (TlsError("It is not trusted.", code="certificate_untrusted"), True),
        (WireError("It is too busy.", code="deferred", step="greeting"), True),
        (SignInError("The sign-in was refused."), True),
    ],
)
def test_what_tells_of_a_port_is_one_sentence(error: WireError, is_told: bool) -> None:
    """T59: pure, so that every kind of it is tried."""
    sentence = error.sentence
    stored = kept(error)
    assert sentence in stored
    assert cut(stored) == (stored if is_told else str(NoServer("10.0.0.5:22")))


@pytest.mark.parametrize(
    "where", ["[2001:db8::1]:993", "imap.example.com:993", "https://a.example"]
)
def test_nothing_stands_behind_it_wherever_it_was_put(where: str) -> None:
    """T59: in the middle of another sentence, of a web server, and stored twice."""
    error = DialError("It refused the connection.", code="connect_refused", hint="Look. And look.")
    whole = f"Source a collects nothing (backing off): {kept(error, where, what='server')} More."
    assert cut(whole).startswith(
        f"Source a collects nothing (backing off): No server answers at {where}."
    )
    assert "refused" not in cut(whole)
    assert "More" not in cut(whole)
    assert cut(cut(whole)) == cut(whole)


def test_a_stored_sentence_is_parted_again() -> None:
    error = DialError("It refused the connection.", code="connect_refused")
    nobody, told = parted(kept(error, "login.example.com:443", what="server"))
    assert str(nobody) == str(NoServer("login.example.com:443", what="server"))
    assert told == "It refused the connection."
    assert parted("The token was refused.") == (None, "The token was refused.")
