"""One mail transaction, pure: its commands, whose reply is whose, how it ended (RFC 5321, 3.3)."""

from __future__ import annotations

import dataclasses

from postroom.errors import InvalidValue, PostroomError
from postroom.protocols.base import Outcome, Recipient, Reply, Submission
from postroom.protocols.content import chunks
from postroom.protocols.smtp import commands
from postroom.protocols.smtp.machine import Capabilities
from postroom.protocols.smtp.replies import refusal
from postroom.protocols.smtp.wireform import LONGEST_LINE, Examination, examine, examine_whole

__all__ = ["IN_ONE_PIECE", "Transaction", "prepare"]

IN_ONE_PIECE = 256 * 1024
"""Contents up to this many bytes are handled in memory, larger ones as a stream."""


@dataclasses.dataclass(slots=True)
class Transaction:
    """A submission that fits this server, and the replies to it so far.

    ``mail`` and ``rcpts`` are its command lines; the replies are told in the order of the commands
    by :meth:`mail_said`, :meth:`rcpt_said`, :meth:`data_said` and :meth:`end_said`.
    """

    submission: Submission
    examination: Examination
    data: bytes | None  # the content as it is, if it is handled in memory
    mail: bytes
    rcpts: list[bytes]
    replies: list[Reply | None]  # what decided each recipient; None: not decided yet
    opened: bool = False  # MAIL was accepted and the transaction was neither ended nor reset
    going: bool = False  # 354 and somebody to send to: the content goes out
    hollow: bool = False  # 354 and nobody to send to: only the final dot goes out
    resets: bool = False  # its group begins with RSET
    dotted: bool = False  # the final dot may have reached the server

    def mail_said(self, reply: Reply) -> None:
        """The reply to MAIL; unless accepted it decides every recipient."""
        if reply.state == "accepted":
            self.opened = True
        else:
            self._decide(reply)

    def rcpt_said(self, position: int, reply: Reply) -> None:
        """The reply to RCPT number ``position``; an accepted one decides nothing yet."""
        if reply.state != "accepted" and self.replies[position] is None:
            self.replies[position] = reply

    @property
    def wanted(self) -> bool:
        """Whether somebody is left to send to."""
        return None in self.replies

    def data_said(self, reply: Reply) -> None:
        """The reply to DATA.  354 with nobody left still has to be ended (RFC 2920, 3.1)."""
        if reply.state == "accepted":
            self.going = self.wanted
            self.hollow = not self.going
        else:
            self._decide(reply)

    def end_said(self, reply: Reply) -> None:
        """The reply to the final dot: it decides every recipient that RCPT accepted."""
        self.opened = False
        self._decide(reply)

    def _decide(self, reply: Reply) -> None:
        self.replies = [known or reply for known in self.replies]

    def outcome(self, error: PostroomError | None = None) -> Outcome:
        """How it ended: answered if all is decided, else by how far it got before ``error``.

        Only the final dot makes a message the server's (RFC 5321, 4.1.1.4): what was cut before it
        is untouched however much of the content went out, what was cut after it is ambiguous, and
        then the recipients known to be refused are listed (RFC 1047).
        """
        decided = [
            Recipient(address, reply)
            for address, reply in zip(
                self.submission.envelope.recipients, self.replies, strict=True
            )
            if reply is not None
        ]
        if not self.wanted:
            return Outcome(self.submission.id, "answered", decided)
        if self.dotted:
            return Outcome(self.submission.id, "ambiguous", decided, error)
        return Outcome(self.submission.id, "untouched", [], error)


def prepare(submission: Submission, server: Capabilities) -> Transaction | Outcome:
    """The transaction, or the outcome when this server cannot take the message at all.

    Such a refusal is ours: nothing is sent, its codes are those a server would have used.
    """
    content, envelope = submission.content, submission.envelope
    whole = content.bytes() if content.size <= IN_ONE_PIECE else None
    seen = examine(chunks(content)) if whole is None else examine_whole(whole)
    strange = not all(map(str.isascii, envelope.recipients))
    # of one that was written elsewhere an 8-bit header goes as it is, in whatever charset
    in_header = submission.utf8 and not (
        strange and (not seen.eight_bit or _ascii_header(submission, whole))
    )
    needed = in_header or not envelope.sender.isascii()
    utf8 = needed or (strange and "SMTPUTF8" in server)
    reply = _unfit(seen, server, utf8=needed)
    if reply is None:
        try:
            mail = commands.mail(
                envelope.sender,
                size=seen.size if "SIZE" in server else 0,
                eight_bit=seen.eight_bit,
                utf8=utf8,
            )
        except InvalidValue as error:
            reply = refusal("mail", 553, "5.1.7", f"{error.sentence}; nothing was sent")
        else:
            return _with_recipients(submission, seen, whole, mail, utf8=utf8)
    return Outcome(submission.id, "answered", [Recipient(a, reply) for a in envelope.recipients])


def _with_recipients(
    submission: Submission, seen: Examination, whole: bytes | None, mail: bytes, *, utf8: bool
) -> Transaction | Outcome:
    """An address that cannot be sent is refused by us and the others go on.

    So is one with a local part that is not ASCII, where only SMTPUTF8 could carry it: the message
    itself needs none when that address stands in no header (Bcc).
    """
    rcpts: list[bytes] = []
    replies: list[Reply | None] = []
    for address in submission.envelope.recipients:
        if not utf8 and not address.isascii():
            rcpts.append(b"")
            replies.append(refusal("rcpt", 553, "5.6.7", _NO_SMTPUTF8.format("the address")))
            continue
        try:
            rcpts.append(commands.rcpt(address, utf8=utf8))
            replies.append(None)
        except InvalidValue as error:
            rcpts.append(b"")
            replies.append(refusal("rcpt", 553, "5.1.3", f"{error.sentence}; nothing was sent"))
    made = Transaction(submission, seen, whole, mail, rcpts, replies)
    return made if made.wanted else made.outcome()


_NO_SMTPUTF8 = "{} is not ASCII and the server offers no SMTPUTF8; nothing was sent"


def _ascii_header(submission: Submission, whole: bytes | None) -> bool:
    """Whether the header is ASCII, whatever the body is."""
    seen = b""
    for piece in (whole,) if whole is not None else chunks(submission.content):
        seen = (seen + piece).replace(b"\r\n", b"\n")
        head, blank, _ = seen.partition(b"\n\n")
        if blank or not head.isascii():
            return head.isascii()
    return seen.isascii()


def _unfit(seen: Examination, server: Capabilities, *, utf8: bool) -> Reply | None:
    """Why this server cannot take this content, or None."""
    if server.size and seen.size > server.size:
        return refusal(
            "mail",
            552,
            "5.3.4",
            f"the message has {seen.size} bytes, the server takes {server.size}; nothing was sent",
        )
    if utf8 and "SMTPUTF8" not in server:
        return refusal(
            "mail",
            553,
            "5.6.7",
            _NO_SMTPUTF8.format("the sender or a header"),
        )
    if seen.eight_bit and "8BITMIME" not in server:
        return refusal(
            "mail",
            554,
            "5.6.3",
            "the message has 8-bit content and the server offers no 8BITMIME; nothing was sent",
        )
    if seen.nul:  # neither 7bit nor 8bit data: RFC 2045, 2.7 and 2.8
        return refusal("mail", 554, "5.6.0", "the message holds a NUL byte; nothing was sent")
    if seen.longest > LONGEST_LINE:
        return refusal(
            "mail",
            554,
            "5.6.0",
            f"a line of the message has {seen.longest} bytes, {LONGEST_LINE} are allowed;"
            " nothing was sent",
        )
    return None
