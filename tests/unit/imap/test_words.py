"""What we say: commands, names of folders, sets of uids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import FolderError, InvalidValue, ProtocolError
from postroom.protocols.base import SignIn
from postroom.protocols.imap import commands
from postroom.protocols.imap.commands import Command
from postroom.protocols.imap.names import Naming, check_name, decode_name, encode_name
from postroom.protocols.imap.sets import LONGEST, compress, count, cut, members, parse_set
from postroom.secret import Secret

BREAKS = ["\r", "\n", "\0", "x\r\nX1 DELETE INBOX", "x\n"]


@pytest.mark.parametrize("bad", BREAKS)
@pytest.mark.bares("error", why="the same text is a password, a flag and a name of a field here")
def test_no_argument_can_end_a_line(bad: str) -> None:
    with pytest.raises(InvalidValue):
        commands.login(SignIn("password", bad, Secret("x")))
    with pytest.raises(InvalidValue):
        commands.login(SignIn("password", "x", Secret(bad)))
    with pytest.raises(InvalidValue):
        commands.on_folder("CREATE", bad.encode())
    with pytest.raises(InvalidValue):
        commands.append(bad.encode(), b"", [])
    with pytest.raises(InvalidValue):
        commands.copy("1", bad.encode())
    with pytest.raises(InvalidValue):
        commands.search(f"SUBJECT {bad} x")
    with pytest.raises(InvalidValue):
        commands.fetch_summaries("1", [bad])
    with pytest.raises(InvalidValue):
        commands.store("1", "+", [bad])
    with pytest.raises(InvalidValue):
        check_name(bad)


@pytest.mark.parametrize("flag", ["a b", "(x)", "", "\\Nonsense", 'a"b', "ü", "a{3+}x", "*", "x]"])
def test_a_keyword_is_an_atom(flag: str) -> None:
    with pytest.raises(InvalidValue):
        commands.store("1", "+", [flag])


@pytest.mark.parametrize(
    "criteria", ["", "  ", "SUBJECT ü", "FROM {5}", "FROM {5+}", "BODY {12+} "]
)
def test_a_search_cannot_open_a_literal(criteria: str) -> None:
    with pytest.raises(InvalidValue):
        commands.search(criteria)


def line(command: Command) -> bytes:
    return b"|".join(command.parts)


@pytest.mark.parametrize(
    ("command", "bytes_"),
    [
        (commands.search("UNSEEN"), b"UID SEARCH UNSEEN"),
        (commands.search('SUBJECT "{5}"', extended=True), b'UID SEARCH RETURN (ALL) SUBJECT "{5}"'),
        (commands.store("1:3", "-", ["seen", "$x"]), b"UID STORE 1:3 -FLAGS.SILENT (\\Seen $x)"),
        (commands.copy("1", b'a "b"\\c'), b'UID COPY 1 "a \\"b\\"\\\\c"'),
        (commands.copy("1", b"a", move=True), b'UID MOVE 1 "a"'),
        (commands.expunge("1:2"), b"UID EXPUNGE 1:2"),
        (commands.list_folders(b""), b'LIST "" ""'),
        (commands.fetch_bodies("1"), b"UID FETCH 1 (UID BODY.PEEK[])"),
        (
            commands.fetch_summaries("1:*", ["Subject", "x-a"]),
            b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE "
            b"BODY.PEEK[HEADER.FIELDS (SUBJECT X-A)])",
        ),
        (commands.append(b"a", b"\0\r\n", []), b'APPEND "a" |\0\r\n|'),
        (commands.on_folder("CREATE", b"x" * 2000), b"CREATE |" + b"x" * 2000 + b"|"),
    ],
)
def test_commands_as_bytes(command: Command, bytes_: bytes) -> None:
    assert line(command) == bytes_


def test_a_command_does_not_show_its_password() -> None:
    assert "hunter2" not in repr(commands.login(SignIn("password", "u", Secret("hunter2"))))


# ------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("Entwürfe", b"Entw&APw-rfe"),
        ("Entwürfe & mehr", b"Entw&APw-rfe &- mehr"),
        ("&", b"&-"),
        ("&&", b"&-&-"),
        ("日本語", b"&ZeVnLIqe-"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501, 5.1.3
        ("📦", b"&2D3c5g-"),
        ("a+b,c", b"a+b,c"),
    ],
)
def test_modified_utf7(name: str, raw: bytes) -> None:
    assert encode_name(name) == raw
    assert decode_name(raw) == name


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_every_name_comes_back(name: str) -> None:
    raw = encode_name(name)
    assert raw.isascii()
    assert decode_name(raw) == name


@given(st.binary(max_size=40))
def test_no_spelling_of_a_server_is_an_error(raw: bytes) -> None:
    assert isinstance(decode_name(raw), str)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"a & b", "a & b"),
        (b"&AAA", "&AAA"),
        (b"&A-", "&A-"),
        (b"Entw\xc3\xbcrfe", "Entwürfe"),
        (b"\xff", "\ufffd"),
    ],
)
def test_names_that_are_no_utf7(raw: bytes, name: str) -> None:
    assert decode_name(raw) == name


COURIER = Naming(".", b"INBOX.", (b"shared.", b"user."))


@pytest.mark.parametrize(
    ("naming", "name", "raw"),
    [
        (Naming(), "inbox", b"INBOX"),
        (Naming(), "Done/2026", b"Done/2026"),
        (COURIER, "INBOX", b"INBOX"),
        (COURIER, "Done/2026", b"INBOX.Done.2026"),
        (COURIER, "shared/team", b"shared.team"),
        (Naming("\\", b""), "Done/2026", b"Done\\2026"),
        (Naming("", b""), "flat", b"flat"),
    ],
)
def test_levels_and_namespaces(naming: Naming, name: str, raw: bytes) -> None:
    assert naming.to_wire(name) == raw
    assert naming.from_wire(raw) == ("INBOX" if name == "inbox" else name)


def test_who_knows_the_prefix_may_write_it() -> None:
    assert COURIER.to_wire("INBOX.Done") == b"INBOX.Done"
    assert COURIER.to_wire("INBOX/Done") == b"INBOX.Done"


def test_a_server_without_levels_says_so() -> None:
    with pytest.raises(FolderError):
        Naming("", b"").to_wire("a/b")


# ------------------------------------------------------------------- sets


@given(st.lists(st.integers(1, 2**32 - 1), unique=True, max_size=60).map(sorted))
def test_sets_come_back(uids: list[int]) -> None:
    text = ",".join(cut(uids))
    assert members(parse_set(text)) == uids
    assert count(compress(uids)) == len(uids)


def test_sets_are_short_and_cut() -> None:
    assert list(cut(range(1, 50_001))) == ["1:50000"]
    pieces = list(cut(range(1, 50_001, 2)))
    assert len(pieces) > 1
    assert all(len(piece) <= LONGEST for piece in pieces)


@pytest.mark.parametrize("text", ["0", "1:*", "1,,2", "x", "4294967296", "1:2:3", "-1", "²"])
def test_sets_that_are_none(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_set(text)
