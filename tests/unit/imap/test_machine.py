"""The machine: tags, go-aheads, literals, and what must not be believed."""

from __future__ import annotations

import pytest

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits, SignIn
from postroom.protocols.imap import commands
from postroom.protocols.imap.machine import Machine
from postroom.protocols.imap.responses import Continue, Done, Event
from postroom.secret import Secret

NOOP = commands.plain("NOOP")


def greeted() -> Machine:
    core = Machine(Limits(), letters="T")
    core.receive(memoryview(b"* OK hello\r\n"))
    return core


def say(core: Machine, data: bytes) -> list[Event]:
    return core.receive(memoryview(data))


def test_several_commands_are_in_flight_and_may_end_in_any_order() -> None:
    core = greeted()
    assert [core.send(NOOP), core.send(NOOP)] == ["T1", "T2"]
    assert b"".join(core.outgoing()) == b"T1 NOOP\r\nT2 NOOP\r\n"
    ends = say(core, b"T2 OK b\r\nT1 NO a\r\n")
    assert [(e.tag, e.state) for e in ends if isinstance(e, Done)] == [("T2", "OK"), ("T1", "NO")]


def test_tags_cannot_be_guessed() -> None:
    letters = {Machine(Limits()).send(NOOP)[:-1] for _ in range(50)}
    assert len(letters) > 40


@pytest.mark.parametrize("data", [b"T1 OK\r\n", b"T9 OK\r\n"])
def test_a_reply_to_what_was_not_said_is_refused(data: bytes) -> None:
    core = greeted()
    with pytest.raises(ProtocolError, match="not given"):
        say(core, data)


def test_a_reply_ahead_of_its_command_is_refused() -> None:
    core = greeted()
    core.send(NOOP)  # and its bytes have not left
    with pytest.raises(ProtocolError, match="before it had all of it"):
        say(core, b"T1 OK done\r\n")


def test_a_reply_comes_once() -> None:
    core = greeted()
    core.send(NOOP)
    core.outgoing()
    say(core, b"T1 OK\r\n")
    with pytest.raises(ProtocolError, match="not given"):
        say(core, b"T1 OK\r\n")


@pytest.mark.parametrize(
    "data", [b"* 5 EXISTS\r\n", b"* CAPABILITY IMAP4rev1\r\n", b"+ go\r\n", b"A OK x\r\n"]
)
def test_a_server_greets_first(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        say(Machine(Limits()), data)


def test_a_go_ahead_nobody_waits_for_is_refused() -> None:
    core = greeted()
    core.send(NOOP)
    core.outgoing()
    with pytest.raises(ProtocolError, match="nobody began"):
        say(core, b"+ go\r\n")


def test_a_literal_waits_for_its_go_ahead_and_so_does_what_is_behind_it() -> None:
    core = greeted()
    core.send(commands.login(SignIn("password", "jürgen", Secret('pä"ss'))))
    core.send(NOOP)
    assert core.outgoing() == [b"T1 LOGIN {7}\r\n"]
    assert core.outgoing() == []
    assert say(core, b"+ ok\r\n") == [Continue(b"ok", for_literal=True)]
    assert core.outgoing() == ["jürgen".encode() + b" {6}\r\n"]
    say(core, b"+ ok\r\n")
    assert core.outgoing() == ['pä"ss'.encode() + b"\r\n", b"T2 NOOP\r\n"]


def test_a_refused_literal_is_never_sent() -> None:
    core = greeted()
    core.send(commands.append(b"INBOX", b"x" * 100, []))
    core.send(NOOP)
    core.outgoing()
    say(core, b"T1 NO [OVERQUOTA] full\r\n")
    assert core.outgoing() == [b"T2 NOOP\r\n"]


def test_a_command_is_not_done_before_its_literal() -> None:
    core = greeted()
    core.send(commands.append(b"INBOX", b"x" * 100, []))
    core.outgoing()
    with pytest.raises(ProtocolError, match="before it had all of it"):
        say(core, b"T1 OK\r\n")


@pytest.mark.parametrize(
    ("literals", "size", "sent"),
    [
        ("LITERAL+", 10_000, b'T1 APPEND "INBOX" (\\Seen) {10000+}\r\n'),
        ("LITERAL-", 10_000, b'T1 APPEND "INBOX" (\\Seen) {10000}\r\n'),
        ("LITERAL-", 4096, b'T1 APPEND "INBOX" (\\Seen) {4096+}\r\n'),
        ("", 1, b'T1 APPEND "INBOX" (\\Seen) {1}\r\n'),
    ],
)
def test_a_literal_does_not_wait_where_the_server_says_so(
    literals: str, size: int, sent: bytes
) -> None:
    core = greeted()
    core.literals = literals
    core.send(commands.append(b"INBOX", b"x" * size, ["seen"]))
    out = core.outgoing()
    assert out[0] == sent
    assert b"".join(out[1:]) == (b"x" * size + b"\r\n" if b"+" in sent else b"")


def starting_tls() -> Machine:
    core = greeted()
    core.literals = "LITERAL+"
    core.send(commands.plain("STARTTLS"))
    core.outgoing()
    return core


@pytest.mark.parametrize(
    "behind",
    [b"* CAPABILITY IMAP4rev1\r\n", b"* CAP", b"T2 OK\r\n", b"\r", b"* 1 FETCH (BODY[] {5}\r\n"],
)
def test_bytes_behind_the_answer_to_starttls_end_the_connection(behind: bytes) -> None:
    with pytest.raises(ProtocolError, match="behind its answer to STARTTLS"):
        say(starting_tls(), b"T1 OK begin\r\n" + behind)
    core = starting_tls()
    say(core, b"T1 OK begin\r\n")
    with pytest.raises(ProtocolError, match="behind its answer to STARTTLS"):
        say(core, behind)


def test_after_tls_the_machine_begins_anew() -> None:
    core = starting_tls()
    say(core, b"T1 OK begin\r\n")
    core.secured()
    assert core.literals == ""
    core.send(NOOP)
    assert core.outgoing() == [b"T2 NOOP\r\n"]
    say(core, b"T2 OK\r\n")


def test_a_refused_starttls_leaves_the_machine_as_it_was() -> None:
    core = starting_tls()
    assert len(say(core, b"T1 NO later\r\n* OK x\r\n")) == 2
