"""T34: a hostile server lays the secret across the place where its line is cut: no part is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from tests.ground import scripted
from tests.ground.scripted import ScriptedServer, Send, Step
from tests.journeys.test_security import CANARY, plain_connection, serving, told

if TYPE_CHECKING:
    from tests.journeys.conftest import Cli

WORD = CANARY.encode()
SOME = WORD[:-1]  # what a cut would have left of it
CUTS = (100, 200, 300, 500)


def no_reply(begin: bytes = b"", end: bytes = b"") -> bytes:
    """Lines that are no answer of any protocol, as one: the secret lies across every cut."""
    line = begin
    for cut in CUTS:
        line = line.ljust(cut - len(SOME), b"!") + WORD
    return line + end + b"\r\n"


def smtp() -> Sequence[Step]:
    return [
        Send(b"220 here\r\n"),
        scripted.Answer({rb"EHLO .*": b"250-here\r\n250 AUTH PLAIN\r\n", rb".*": no_reply()}),
    ]


def pop3(sign_in: bytes) -> Sequence[Step]:
    answers = {
        rb"CAPA": b"+OK\r\nUSER\r\nUIDL\r\n.\r\n",
        rb"PASS .*": sign_in,
        rb"STAT": b"+OK 1 10\r\n",
        rb"LIST": b"+OK\r\n1 10\r\n.\r\n",
        rb"UIDL": b"+OK\r\n" + no_reply(b"1 ", b"\x7f") + b".\r\n",
        rb".*": b"+OK\r\n",
    }
    return [Send(b"+OK\r\n"), scripted.Answer(answers)]


@pytest.mark.parametrize(
    ("protocol", "script", "verb"),
    [
        ("smtp", smtp(), ("connection", "test", "acme")),
        ("smtp", smtp(), ("send", "--via", "acme", "--to", "a@example.com", "--text", "x")),
        ("pop3", pop3(no_reply()), ("connection", "test", "acme")),
        ("pop3", pop3(b"+OK\r\n"), ("mail", "list", "--via", "acme")),
    ],
)
def test_a_secret_across_the_cut_is_not_told_in_part(
    cli: Cli,
    protocol: str,
    script: Sequence[Step],
    verb: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T34: it is scrubbed before it is cut, in what is shown and in what is kept."""
    with serving(ScriptedServer(script)) as server:
        plain_connection(cli, protocol, server.port, monkeypatch)
        shown = [told(cli(*verb, *mode)) for mode in ((), ("--json", "--verbose"))]
        if verb[0] == "send":
            shown += [told(cli("outbox", "drain")), told(cli("outbox", "list", "--json"))]
        assert server.sessions
    assert b"****" in b"".join(shown)
    for part in (SOME, WORD[1:]):
        assert not any(part in text for text in shown), shown
        for path in cli.settings.room.rglob("*"):
            assert not path.is_file() or part not in path.read_bytes(), path
