"""Bytes as real servers send them, each an answer with its oddities."""

from __future__ import annotations

__all__ = ["GREETING", "RECORDED", "everything"]

GREETING = b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready {5}\r\n"

RECORDED: dict[str, bytes] = {
    "dovecot select": (
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)\r\n"
        b"* OK [PERMANENTFLAGS (\\Answered \\Seen \\*)] Flags permitted.\r\n"
        b"* 30 EXISTS\r\n* 0 RECENT\r\n"
        b"* OK [UIDVALIDITY 1795547797] UIDs valid\r\n"
        b"* OK [UIDNEXT 31] Predicted next UID\r\n"
        b"* OK [HIGHESTMODSEQ 2] Highest\r\n"
    ),
    "dovecot list": (
        b'* LIST (\\HasNoChildren \\Sent) "/" Sent\r\n'
        b'* LIST (\\HasNoChildren) "/" "Entw&APw-rfe"\r\n'
        b'* LIST (\\Noselect \\HasChildren) "/" {7}\r\na"b\\c d\r\n'
    ),
    "gmail list": (
        b'* LIST (\\HasNoChildren) "/" "INBOX"\r\n'
        b'* LIST (\\HasChildren \\Noselect) "/" "[Gmail]"\r\n'
        b'* LIST (\\All \\HasNoChildren) "/" [Gmail]/Alle\r\n'
        b'* XLIST (\\HasNoChildren \\Spam) "/" "[Gmail]/Spam"\r\n'
    ),
    "cyrus": (
        b'* LIST (\\HasChildren) "." INBOX\r\n* LIST NIL NIL "flat"\r\n'
        b'* NAMESPACE (("INBOX." ".")) (("user." ".")) (("" "."))\r\n'
    ),
    "exchange fetch": (
        b"* 1 FETCH (BODY[] {12}\r\nA: b\r\n\r\nxy\r\n FLAGS (\\Seen) UID 5)\r\n"
        b'* 2 FETCH (UID 6 BODY[] "" FLAGS NIL)\r\n'
        b"* BAD Internal text with {9}\r\n"
    ),
    "bodies": (
        b"* 1 FETCH (UID 5 BODY[] {3}\r\nabc FLAGS (\\Seen))\r\n"
        b"* 2 FETCH (UID 6 BODY[] {0}\r\n)\r\n"
        b"* 3 FETCH (UID 7 BODY[] NIL)\r\n"
        b"* 4 FETCH (UID 8 BODY[]<0> {4}\r\n)\r\n(UID 9)\r\n"
        b"* 5 fetch (uid 9 body[] ~{2}\r\n\x00\xff)\r\n"
        b"* 6 FETCH (UID 10 BODY[] {300}\r\n" + b"x" * 299 + b"y)\r\n"
        b"* 7 FETCH (FLAGS ())\r\n"
    ),
    "rows": (
        b'* 1 FETCH (UID 1 FLAGS (\\Seen $Junk) INTERNALDATE "24-Nov-2026 19:16:37 +0100" '
        b"RFC822.SIZE 23 BODY[HEADER.FIELDS (SUBJECT)] {14}\r\nSubject: m0\r\n\r\n)\r\n"
        b'* 2 FETCH (UID 2 FLAGS () INTERNALDATE " 1-Jan-2026 00:00:00 -0330" RFC822.SIZE 0)\r\n'
    ),
    "envelope": (
        b'* 1 FETCH (UID 1 ENVELOPE ("Mon, 1 Jan" {6}\r\nHe"llo (("A \\"q\\" B" NIL a x.com)) '
        b'NIL NIL NIL NIL NIL NIL "<1@x>") RFC822.SIZE 9)\r\n'
    ),
    "search": (
        b'* SEARCH 1 2 3 5\r\n* SEARCH\r\n* SEARCH 7 (MODSEQ 9)\r\n* ESEARCH (TAG "A1") UID\r\n'
        b"* SEARCH " + b" ".join(b"%d" % n for n in range(100_000, 100_400, 2)) + b"\r\n"
        b'* ESEARCH (TAG "A1") UID ALL 1:3,9\r\n'
    ),
    "numbers without end": (
        b"* VANISHED (EARLIER) "
        + b",".join(b"%d" % n for n in range(300_000, 300_400, 2))
        + b"\r\n"
        b"* VANISHED "
        + b",".join(b"%d:%d" % (n, n + 2) for n in range(400_000, 400_400, 5))
        + b"\r\n"
        b'* ESEARCH (TAG "A1") UID ALL '
        + b",".join(b"%d" % n for n in range(200_000, 200_400, 2))
        + b"\r\n"
    ),
    "unasked": b"* 3 EXPUNGE\r\n* 29 EXISTS\r\n* VANISHED (EARLIER) 1:3\r\n* OK Still here\r\n",
}


def everything() -> bytes:
    """All of it behind a greeting."""
    return GREETING + b"".join(RECORDED.values())
