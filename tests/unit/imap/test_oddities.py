"""What real servers sent to somebody, each with where it was told, and what is made of it here.

The evidence is a public report: ``owner/repository#number`` on GitHub.
"""

from __future__ import annotations

import datetime as dt

import pytest

from postroom.protocols.base import Limits
from postroom.protocols.imap.frames import Framer
from postroom.protocols.imap.responses import (
    Capability,
    Done,
    Event,
    Fetch,
    Listed,
    Namespaces,
    Other,
    Search,
    Status,
    parse,
)

MICROSOFT = (
    'Error="Microsoft.Exchange.Data.Storage.WrongServerException:Cross Server access is not '
    'allowed for mailbox 1" AuthResultFromPopImapEnd=0 Proxy=A.PROD.OUTLOOK.COM:1993:SSL Service=Imap4'
)
ODDITIES: list[tuple[str, str, bytes, Event]] = [
    # ------------------------------------------------------- status and capabilities
    ("Gmail: a code without text", "modern-email/defects#28",
     b"* OK [HIGHESTMODSEQ 12345]", Status("OK", "HIGHESTMODSEQ", "12345", "")),
    ("QQ: a space behind the capabilities", "modern-email/defects#21",
     b"* CAPABILITY IMAP4rev1 ", Capability(frozenset({"IMAP4REV1"}))),
    ("SEINE: words among the capabilities", "emailjs/emailjs-imap-client#27",
     b"* CAPABILITY SEINE IMAP server IMAP4rev1 LITERAL+",
     Capability(frozenset({"SEINE", "IMAP", "SERVER", "IMAP4REV1", "LITERAL+"}))),
    ("Outlook 365: quotes and equal signs in a code", "ruby/net-imap#597",
     f"A1 OK [{MICROSOFT}] AUTHENTICATE completed.".encode(),
     Done("OK", MICROSOFT.split()[0].upper(), MICROSOFT.partition(" ")[2],
          "AUTHENTICATE completed.", tag="A1")),
    ("a reply without text", "RFC 3501 wants one", b"A1 OK", Done("OK", tag="A1")),
    ("a reply in small letters", "RFC 3501 allows it", b"A1 ok [read-write] done",
     Done("OK", "READ-WRITE", "", "done", tag="A1")),
    ("spaces without need", "RFC 3501 forbids it", b"A1  NO  [ALERT]  x",
     Done("NO", "ALERT", "", "x", tag="A1")),
    # ------------------------------------------------------- folders
    ("Virgin Media, Dovecot: brackets without quotes", "kisli/vmime#250",
     b'* LIST (\\HasNoChildren \\UnMarked) "/" [Gmail]/Starred',
     Listed(frozenset({"\\hasnochildren", "\\unmarked"}), "/", b"[Gmail]/Starred")),
    ("Domino: spaces without quotes", "IndySockets/Indy#329",
     b'* LIST (\\HasNoChildren) "\\\\" Folder\\Subfolder 1',
     Listed(frozenset({"\\hasnochildren"}), "\\", b"Folder\\Subfolder 1")),
    ("Exchange: tabs without quotes", "jstedfast/MailKit#945",
     b'* LIST (\\HasNoChildren) "/" INBOX/Da\tOggetto\t',
     Listed(frozenset({"\\hasnochildren"}), "/", b"INBOX/Da\tOggetto\t")),
    ("UW IMAP: no separator", "thunderbird/thunderbird-android#1936",
     b"* LIST (\\NoInferiors) NIL INBOX", Listed(frozenset({"\\noinferiors"}), "", b"INBOX")),
    ("Dovecot: half a flag", "dinhvh/libetpan#403",
     b'* XLIST (\\HasChildren \\) "." "Archive"',
     Listed(frozenset({"\\haschildren", "\\"}), ".", b"Archive")),
    ("a name as a literal", "vladimarius/imapy#29",
     b'* LIST () "\\\\" {7}\r\nfoo\\bar', Listed(frozenset(), "\\", b"foo\\bar")),
    ("LIST-EXTENDED: more behind the name", "RFC 5258",
     b'* LIST () "/" "foo" ("CHILDINFO" ("SUBSCRIBED"))', Listed(frozenset(), "/", b"foo")),
    ("an empty namespace", "RFC 2342", b'* NAMESPACE (("" "/")) NIL NIL',
     Namespaces([(b"", "/")], [])),
    ("a status with a space behind", "modern-email/defects#9",
     b"* STATUS INBOX (MESSAGES 0) ", Other("STATUS")),
    # ------------------------------------------------------- search
    ("Yahoo: a space behind the numbers", "djc/imap-proto#108",
     b"* SEARCH 84 882 ", Search([(84, 84), (882, 882)])),
    ("GreenMail: a space behind nothing", "greenmail-mail-test/greenmail#264",
     b"* SEARCH ", Search([])),
    # ------------------------------------------------------- messages
    ("QQ: a space before the end", "jakartaee/mail-api#209",
     b"* 11487 FETCH (UID 19436 )", Fetch(11487, 19436)),
    ("any server: the uid behind the body", "karastojko/mailio#135",
     b"* 3 FETCH (RFC822 {6}\r\nabcd\r\n UID 10)", Fetch(3, 10, True, b"abcd\r\n")),
    ("no uid at all", "RFC 3501, 7.4.2: told unasked", b"* 3 FETCH (FLAGS (\\Seen))",
     Fetch(3, flags=("\\Seen",))),
    ("Domino: an item within parentheses", "jstedfast/MailKit#943",
     b"* 2 FETCH (UID 14935 (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)) "
     b'BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0 NIL) RFC822.SIZE 9)',
     Fetch(2, 14935, size=9)),
    ("Yahoo Japan: a space within BODYSTRUCTURE", "emailjs/emailjs-imap-handler#8",
     b'* 2 FETCH (BODYSTRUCTURE (("text" "plain" ("charset" "ISO-2022-JP") NIL NIL "7bit" 2515 64 '
     b'NIL NIL NIL NIL) "alternative" ("boundary" "pzu8") NIL ) FLAGS (\\Seen) INTERNALDATE '
     b'"30-Oct-2014 03:23:45 +0000" UID 2 BODY[HEADER.FIELDS (FROM TO)] {4}\r\na: b)',
     Fetch(2, 2, flags=("\\Seen",), header=b"a: b",
           received=dt.datetime(2014, 10, 30, 3, 23, 45, tzinfo=dt.UTC))),
    ("Mail.ru: NIL as a parameter", "kisli/vmime#159",
     b'* 4 FETCH (BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "8bit" 536 0 NIL NIL '
     b'NIL NIL) "alternative" ("boundary" NIL)) UID 7)', Fetch(4, 7)),
    ("Mail.ru: an empty display name", "duesee/imap-codec#700",
     b'* 4 FETCH (ENVELOPE (NIL "x" (("" NIL "user" "domain")) NIL NIL NIL NIL NIL NIL NIL) UID 7)',
     Fetch(4, 7)),
    ("Exchange: a text where a list belongs", "jstedfast/MailKit#919",
     b'* 37 FETCH (UID 67 FLAGS (\\Seen \\Recent) BODYSTRUCTURE (("text" "plain" ("charset" "x") '
     b'NIL NIL "QUOTED-PRINTABLE" 850 31 NIL "inline" NIL NIL) "alternative"))',
     Fetch(37, 67, flags=("\\Seen", "\\Recent"))),
    ("Exchange: a description in the wrong place", "javaee/javamail#278",
     b'* 1 FETCH (BODYSTRUCTURE (("text" "plain" NIL NIL NIL "7bit" 21 0 NIL ("inline" NIL) NIL NIL) '
     b'"mixed" ("boundary" "-") "S/MIME Encrypted Message" NIL) UID 5)', Fetch(1, 5)),
    ("163.com: quotes that are not escaped", "emersion/go-imap#659",
     b'* 150 FETCH (UID 1733220355 BODY (("application" "octet-stream" ("name" "a.pdf") NIL """" '
     b'"base64" 65322) "MIXED") BODY[] {3}\r\nabc)', Fetch(150, 1733220355, True, b"abc")),
    ("a part without a subtype", "jstedfast/MailKit#371",
     b'* 1 FETCH (UID 5 BODYSTRUCTURE (("TEXT" "PLAIN" NIL NIL NIL "base64" 3 1)'
     b'( "X-ZIP" ("BOUNDARY" "")) "mixed"))', Fetch(1, 5)),
    ("Gmail: a multipart with nothing in it", "jstedfast/MailKit#1841",
     b'* 51 FETCH (MODSEQ (18812) BODY (("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 2942 (NIL) '
     b'("ALTERNATIVE") 51) "REPORT") UID 6)', Fetch(51, 6, modseq=18812)),
    ("online.no: 8-bit text between quotes", "kisli/vmime#317",
     '* 5882 FETCH (FLAGS (\\Seen) UID 24371 ENVELOPE (NIL "Få" NIL NIL NIL NIL NIL NIL NIL NIL))'
     .encode(), Fetch(5882, 24371, flags=("\\Seen",))),
    ("Gmail: labels and threads", "its documentation",
     b'* 1 FETCH (X-GM-THRID 1278 X-GM-LABELS ("\\\\Inbox" "\\\\Sent" Important "Muy Importante") UID 4)',
     Fetch(1, 4)),
    ("keywords of any kind", "modoboa/modoboa#4207",
     '* 1 FETCH (UID 4 FLAGS (\\Seen Café Important! Perso/Travail "quoted" [x]))'.encode(),
     Fetch(1, 4, flags=("\\Seen", "Caf\xc3\xa9", "Important!", "Perso/Travail", "quoted", "[x]"))),
    ("Dovecot: a control character in a keyword", "thunderbird/thunderbird-android#4925",
     b"* 1 FETCH (UID 4 FLAGS ($Forwarded \x04Junk))",
     Fetch(1, 4, flags=("$Forwarded", "\x04Junk"))),
    ("NIL where flags belong", "recorded.py: exchange fetch", b"* 1 FETCH (UID 4 FLAGS NIL)",
     Fetch(1, 4, flags=())),
    ("a date that is none", "RFC 3501 forbids it",
     b'* 1 FETCH (UID 4 INTERNALDATE "00-Jan-0000 00:00:00 +0000")', Fetch(1, 4)),
    ("no space between the items", "RFC 3501 forbids it",
     b'* 1 FETCH (UID 4 FLAGS (\\Seen)BODY[] "x")', Fetch(1, 4, True, b"x", flags=("\\Seen",))),
    ("recent messages in between", "mattnenterprise/rust-imap#81", b"* 1 RECENT", Other("RECENT")),
]  # fmt: skip


def read(line: bytes) -> Event:
    (frame,) = Framer(Limits()).feed(line + b"\r\n")
    assert isinstance(frame, list)
    return parse(frame, 64)


@pytest.mark.parametrize(
    ("line", "event"),
    [pytest.param(line, event, id=name) for name, _, line, event in ODDITIES],
)
def test_what_real_servers_sent_is_understood(line: bytes, event: Event) -> None:
    """Each stands for messages that other clients lost, or folders they could not open."""
    assert read(line) == event


def test_each_has_its_evidence() -> None:
    """A case nobody can look up is worth little."""
    assert all(evidence for _, evidence, _, _ in ODDITIES)
    assert len({name for name, *_ in ODDITIES}) == len(ODDITIES)
