"""What real servers send, read as it is meant."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits
from postroom.protocols.imap.dates import instant
from postroom.protocols.imap.frames import Framer
from postroom.protocols.imap.responses import (
    Capability,
    Continue,
    Done,
    Event,
    Exists,
    Expunge,
    Fetch,
    Listed,
    Namespaces,
    Other,
    Search,
    Status,
    parse,
)


def read(data: bytes) -> Event:
    """The one event of these bytes."""
    (frame,) = Framer(Limits()).feed(data + b"\r\n")
    assert isinstance(frame, list)
    return parse(frame, 64)


def body(place: int, uid: int, content: bytes | None, **more: object) -> Fetch:
    return Fetch(place, uid, True, content, **more)  # type: ignore[arg-type]


SEEN = ("\\Seen",)
NO_ATTRIBUTES: frozenset[str] = frozenset()

CASES: list[tuple[bytes, Event]] = [
    # bodies
    (b"* 1 FETCH (UID 5 BODY[] {3}\r\nabc)", body(1, 5, b"abc")),
    (b"* 1 FETCH (UID 5 BODY[] {3}\r\nabc FLAGS (\\Seen))", body(1, 5, b"abc", flags=SEEN)),
    (b"* 1 FETCH (BODY[] {3}\r\nabc UID 5)", body(1, 5, b"abc")),
    (b"* 1 FETCH (BODY[] {3}\r\nabcUID 5)", body(1, 5, b"abc")),
    (b"* 1 FETCH (FLAGS (\\Seen)UID 5 BODY[] {3}\r\nabc)", body(1, 5, b"abc", flags=SEEN)),
    (b"* 1 fetch (uid 5 body[] {3}\r\nabc)", body(1, 5, b"abc")),
    (b"*  1  FETCH(UID 5  BODY[]  {3}\r\nabc )", body(1, 5, b"abc")),
    (b"* 1 FETCH (UID 5 BODY[]<0> {3}\r\nabc)", body(1, 5, b"abc")),
    (b"* 1 FETCH (UID 5 RFC822 {3}\r\nabc)", body(1, 5, b"abc")),
    (b"* 1 FETCH (UID 5 BODY[] {3+}\r\nabc)", body(1, 5, b"abc")),
    (b"* 1 FETCH (UID 5 BODY[] {0}\r\n)", body(1, 5, b"")),
    (b'* 1 FETCH (UID 5 BODY[] "")', body(1, 5, b"")),
    (b'* 1 FETCH (UID 5 BODY[] "a\\"b\\\\c")', body(1, 5, b'a"b\\c')),
    (b"* 1 FETCH (UID 5 BODY[] NIL)", body(1, 5, None)),
    (b"* 1 FETCH (UID 5 BODY[] {6}\r\n)\r\n* 1)", body(1, 5, b")\r\n* 1")),
    (b"* 1 FETCH (UID 5 MODSEQ (77) BODY[] {1}\r\na)", body(1, 5, b"a", modseq=77)),
    (b'* 1 FETCH (UID 5 X-GM-LABELS ("a b" \\Inbox) BODY[] {1}\r\na)', body(1, 5, b"a")),
    # other items
    (b"* 9 FETCH (FLAGS (\\Seen))", Fetch(9, flags=SEEN)),
    (b"* 9 FETCH (UID 5 FLAGS NIL)", Fetch(9, 5, flags=())),
    (b"* 9 FETCH (UID 5 INTERNALDATE NIL RFC822.SIZE 7)", Fetch(9, 5, size=7)),
    (
        b'* 9 FETCH (UID 5 BODY[HEADER.FIELDS ("Date" "From")] {2}\r\n\r\n)',
        Fetch(9, 5, header=b"\r\n"),
    ),
    (b"* 9 FETCH (UID 5 BODY[HEADER] {2}\r\n\r\n)", Fetch(9, 5, header=b"\r\n")),
    (b"* 9 FETCH (UID 5 BODY[1.2.MIME] {2}\r\n\r\n RFC822.SIZE 1)", Fetch(9, 5, size=1)),
    # counts
    (b"* 5 EXISTS", Exists(5)),
    (b"* 5 exists", Exists(5)),
    (b"* 5 EXPUNGE", Expunge(5)),
    (b"* 5 RECENT", Other("RECENT")),
    # status
    (b"* OK", Status("OK")),
    (b"* OK  done", Status("OK", "", "", "done")),
    (b"* ok [uidnext 31] next", Status("OK", "UIDNEXT", "31", "next")),
    (b"* OK [UIDVALIDITY 3]", Status("OK", "UIDVALIDITY", "3", "")),
    (b"* OK [ALERT]no space", Status("OK", "ALERT", "", "no space")),
    (b'* OK [X "a]b" c] text', Status("OK", "X", '"a]b" c', "text")),
    (b'* NO [X "open] text', Status("NO", "X", '"open', "text")),
    (b"* NO [unclosed text", Status("NO", "", "", "[unclosed text")),
    (b"* BYE Gr\xc3\xbc\xc3\x9fe", Status("BYE", "", "", "Grüße")),
    (b"* BYE \xff", Status("BYE", "", "", "\ufffd")),
    (b"* PREAUTH hello", Status("PREAUTH", "", "", "hello")),
    (
        b"A1 OK [COPYUID 1 2:3 4:5] Done",
        Done("OK", "COPYUID", "1 2:3 4:5", "Done", tag="A1"),
    ),
    (b"A1 NO [TRYCREATE] none", Done("NO", "TRYCREATE", "", "none", tag="A1")),
    (b"A1 bad", Done("BAD", tag="A1")),
    (b"+ go", Continue(b"go")),
    (b"+", Continue(b"")),
    (b"+ ", Continue(b"")),
    # data
    (b"* CAPABILITY IMAP4rev1 auth=PLAIN", Capability(frozenset({"IMAP4REV1", "AUTH=PLAIN"}))),
    (b'* LIST (\\Sent) "/" Sent', Listed(frozenset({"\\sent"}), "/", b"Sent")),
    (b'* LIST () "\\\\" "a\\\\b"', Listed(NO_ATTRIBUTES, "\\", b"a\\b")),
    (b"* LIST () NIL flat", Listed(NO_ATTRIBUTES, "", b"flat")),
    (b'* LIST NIL "." INBOX.x', Listed(NO_ATTRIBUTES, ".", b"INBOX.x")),
    (b'* LIST () "/" NIL', Listed(NO_ATTRIBUTES, "/", b"NIL")),
    (b'* LIST () "/" 2026', Listed(NO_ATTRIBUTES, "/", b"2026")),
    (b'* LIST () "/" [Gmail]/All', Listed(NO_ATTRIBUTES, "/", b"[Gmail]/All")),
    (b'* LIST () "/" {3}\r\na"b', Listed(NO_ATTRIBUTES, "/", b'a"b')),
    (b'* LIST () "/" Entw\xc3\xbcrfe', Listed(NO_ATTRIBUTES, "/", b"Entw\xc3\xbcrfe")),
    (b'* LIST () "/" a ("CHILDINFO" ("SUBSCRIBED"))', Listed(NO_ATTRIBUTES, "/", b"a")),
    (b'* NAMESPACE (("" "/")) NIL NIL', Namespaces([(b"", "/")], [])),
    (b"* NAMESPACE NIL NIL NIL", Namespaces([], [])),
    (
        b'* NAMESPACE (("INBOX." ".")) (("user." ".")) (("" "." "X" ("Y")))',
        Namespaces([(b"INBOX.", ".")], [(b"user.", "."), (b"", ".")]),
    ),
    (b"* SEARCH 1 2 3 9", Search([(1, 3), (9, 9)])),
    (b"* SEARCH", Search([])),
    (b"* SEARCH 4 (MODSEQ 12)", Search([(4, 4)])),
    (b'* ESEARCH (TAG "A") UID ALL 1:3,9', Search([(1, 3), (9, 9)])),
    (b'* ESEARCH (TAG "A") UID', Search([])),
    (b'* ESEARCH (TAG "A") UID COUNT 3 ALL 5:3', Search([(3, 5)])),
    (b"* X-SOMETHING else", Other("X-SOMETHING")),
]


@pytest.mark.parametrize(("data", "event"), CASES, ids=[str(case[0])[:60] for case in CASES])
def test_as_real_servers_say_it(data: bytes, event: Event) -> None:
    assert read(data) == event


@pytest.mark.parametrize(
    "data",
    [
        b"* 1 FETCH UID 5",
        b"* 1 FETCH (5 UID BODY[] {1}\r\na)" + b"",
        b"* 1 FETCH ((UID) 5)",
        b"* 1 FETCH (UID 5 BODY[] (a b))",
        b"* 1 FETCH (UID x)",
        b"* SEARCH one",
        b'* ESEARCH (TAG "A") UID ALL 1:99999999999',
        b'* ESEARCH (TAG "A") UID ALL *',
        b"* LIST ()",
        b'* LIST () "/" (a)',
        b"* ",
        b"",
        b"A1 MAYBE",
    ],
)
def test_what_cannot_be_read_is_an_error(data: bytes) -> None:
    # the second case is only odd, not wrong, when names and values are swapped
    if data.startswith(b"* 1 FETCH (5 UID"):
        assert isinstance(read(data), Fetch)
        return
    with pytest.raises(ProtocolError):
        read(data)


@given(
    uid=st.integers(0, 2**32 - 1),
    size=st.integers(0, 2**40),
    flags=st.lists(st.sampled_from(["\\Seen", "\\Flagged", "$x", "NonJunk"]), max_size=4),
    header=st.none() | st.binary(max_size=50),
)
def test_the_short_way_and_the_general_way_agree(
    uid: int, size: int, flags: list[str], header: bytes | None
) -> None:
    more = b"" if header is None else b" BODY[HEADER.FIELDS (A)] {%d}\r\n%s" % (len(header), header)
    row = b'(UID %d FLAGS (%s) INTERNALDATE "24-Nov-2026 19:16:37 +0100" RFC822.SIZE %d%s)' % (
        uid,
        " ".join(flags).encode(),
        size,
        more,
    )
    fetch = read(b"* 7 FETCH " + row)
    assert fetch == read(b"* 7 Fetch " + row)  # only capitals take the short way
    assert isinstance(fetch, Fetch)
    assert (fetch.uid, fetch.size, fetch.header) == (uid, size, header)
    message = b"(UID %d BODY[] {5}\r\na)\r\nb)" % uid
    assert read(b"* 7 FETCH " + message) == read(b"* 7 Fetch " + message)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b"17-Jul-1996 02:44:25 -0700", "1996-07-17T02:44:25-07:00"),
        (b" 7-jul-1996 02:44:25 +0000", "1996-07-07T02:44:25+00:00"),
        (b"7-Jul-1996 02:44:60 +0530", "1996-07-07T02:44:59+05:30"),
        (b"31-Feb-1996 02:44:25 +0000", None),
        (b"17-Foo-1996 02:44:25 +0000", None),
        (b"17-Jul-1996 02:44:25 +9999", None),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_the_date_of_arrival(text: bytes, moment: str | None) -> None:
    assert instant(text) == (dt.datetime.fromisoformat(moment) if moment else None)
