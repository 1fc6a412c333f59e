"""One message through Graph: a draft, its files, the send; and what a lost answer means."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import IO, Final, Literal

from postroom.errors import InvalidValue, PostroomError, WireError
from postroom.protocols.base import Outcome, Reply
from postroom.protocols.graph.composing import (
    IN_ONE,
    Outgoing,
    outgoing,
    person,
    structured,
    with_bcc,
)
from postroom.protocols.graph.parts import Taken, take_apart
from postroom.protocols.graph.requests import Requests, id_of, quoted, rows_of
from postroom.protocols.graph.uploads import attach
from postroom.protocols.smtp.replies import refusal
from postroom.protocols.smtp.transaction import Transaction

__all__ = ["Sending", "reply_of"]

_TAKEN: Final = Reply("accepted", 250, "2.0.0", "202 Accepted by Microsoft Graph", "end-of-data")
_LEAVING: Final = 10.0  # seconds in which who is called off takes the draft away
_LOOKS: Final = (0.5, 1.0, 2.0)  # seconds before each look for what became of a draft

_REPLIES: Final = {
    "ErrorSendAsDenied": (550, "5.7.60"),
    "ErrorMessageSizeExceeded": (552, "5.3.4"),
    "RequestEntityTooLarge": (552, "5.3.4"),
    "ErrorQuotaExceeded": (552, "5.2.2"),
    "ErrorInvalidRecipients": (553, "5.1.3"),
    "ErrorMessageSubmissionBlocked": (550, "5.1.8"),
    "ErrorMimeContentInvalid": (554, "5.6.0"),
    "ErrorMimeContentInvalidBase64String": (554, "5.6.0"),
    "ErrorExceededMessageLimit": (452, "4.5.3"),
}
"""Refusals of one message, with the codes that an SMTP server would have used (RFC 3463)."""


def reply_of(error: PostroomError) -> Reply | None:
    """The reply to a message that was refused for what it is; None for any other failure."""
    if isinstance(error, InvalidValue):
        return refusal("end-of-data", 554, "5.6.0", f"{error.sentence}; nothing was sent")
    code, enhanced = _REPLIES.get(str(error.facts.get("graph", "")), (0, ""))
    if not code and error.facts.get("status") == 413:
        code, enhanced = 552, "5.3.4"
    if not code:
        return None
    state: Literal["deferred", "rejected"] = "deferred" if code < 500 else "rejected"
    return Reply(state, code, enhanced, error.reason, "end-of-data")


class Sending:
    """One transaction over Graph.  ``drafts``: the app may write the mailbox, not only send."""

    def __init__(
        self, requests: Requests, made: Transaction, *, mailbox: str, drafts: bool
    ) -> None:
        self._requests = requests
        self._made = made
        self._mailbox = mailbox
        self._drafts = drafts
        self._draft = ""
        self._message_id = ""
        self._making = False  # a draft may have been made whose id is not known
        self._begun = False  # the send itself may have reached Graph
        self._going = False  # a draft of an earlier try left while it was looked at

    async def run(self) -> Outcome:
        """The outcome; a 202 is never asked for twice.

        Graph's DATA is the send alone: whoever dies before it leaves a draft, and the next try
        takes that away and begins anew.
        """
        before = self._made.submission.before_data
        try:
            ready = await self._ready()
            if before is not None:
                await before()
            await self._send(ready)
        except PostroomError as error:
            return await self._failed(error)
        except BaseException:
            if not self._begun:
                leaving = asyncio.ensure_future(self._forget())
                await asyncio.wait([leaving], timeout=_LEAVING)
            raise
        return self._said(_TAKEN)

    def _said(self, reply: Reply) -> Outcome:
        self._made.end_said(reply)
        return self._made.outcome()

    async def _failed(self, error: PostroomError) -> Outcome:
        status = int(error.facts.get("status") or 0)
        unknown = self._begun and (
            status in (500, 502, 504) or (not status and bool(error.facts.get("sent")))
        )
        if unknown or self._going:
            if self._draft and await self._went() == "sent":
                return self._said(_TAKEN)
            self._made.dotted = True
            return self._made.outcome(error)
        await self._forget()
        if (reply := reply_of(error)) is not None:
            return self._said(reply)
        return self._made.outcome(error)

    # ------------------------------------------------------------------- the draft

    async def _ready(self) -> bytes | None:
        """Everything before the send: a draft that is whole, or the body of a sendMail."""
        submission = self._made.submission
        with submission.content.open() as file:
            taken = take_apart(file)
            known = zip(submission.envelope.recipients, self._made.replies, strict=True)
            wanted = [address for address, reply in known if reply is None]
            said = outgoing(taken.fields, submission.envelope, wanted, self._mailbox)
            self._message_id = said.message_id
            if submission.again and self._drafts:
                await self._clear()
            if said.exact and submission.content.size <= IN_ONE - 64 * len(said.hidden):
                file.seek(0)
                return await self._as_mime(with_bcc(file.read(), said.hidden), said)
            if not self._drafts:
                raise WireError(
                    "The app may only send (Mail.Send), and this message needs a draft.",
                    step="send",
                    hint="Grant Mail.ReadWrite too: for messages over 3 MB, another From, and some "
                    "of the recipients alone.",
                )
            await self._structured(taken, file, said)
        return None

    async def _as_mime(self, content: bytes, said: Outgoing) -> bytes | None:
        encoded = base64.b64encode(content)
        if not self._drafts:
            if said.sender is not None:
                raise WireError(
                    "Graph ignores the From of MIME, and the app may only send (Mail.Send).",
                    step="send",
                    hint="Send from the mailbox itself, or grant Mail.ReadWrite too.",
                )
            return encoded
        self._making = True
        target = self._requests.path("messages")
        answer = await self._requests.ask("POST", target, body=encoded, step="send")
        made = answer.json()
        self._draft = id_of(made, "send")
        body: dict[str, object] = {}
        if said.sender is not None:
            body["from"] = person(said.sender)
        if said.message_id and made.get("internetMessageId") != said.message_id:
            body["internetMessageId"] = said.message_id  # what it is found by, later
        if body:
            target = self._requests.path(f"messages/{quoted(self._draft)}")
            await self._requests.ask("PATCH", target, body=body, step="send")
        return None

    async def _structured(self, taken: Taken, file: IO[bytes], said: Outgoing) -> None:
        message, files = structured(taken, file, said)
        self._making = True
        made = await self._requests.post("messages", message, step="send")
        self._draft = id_of(made, "send")
        for number, leaf in enumerate(files, 1):
            await attach(self._requests, self._draft, leaf, number, file)

    async def _left(self) -> list[str]:
        """The ids of the drafts with our Message-ID."""
        if not self._message_id:
            return []
        value = self._message_id.replace("'", "''")
        query = {"$filter": f"internetMessageId eq '{value}'", "$select": "id,isDraft"}
        target = self._requests.path("mailFolders/drafts/messages", query)
        rows = rows_of(await self._requests.get(target, step="send"), "send")
        return [str(row["id"]) for row in rows if row.get("isDraft")]

    async def _clear(self) -> None:
        """Take away what earlier tries have left.  One that is gone by then is on its way out."""
        for draft in await self._left():
            if not await self._delete(draft):
                self._going = True
                raise WireError(
                    "The draft of an earlier try has just left; this one was not begun.",
                    step="send",
                    temporary=True,
                )

    async def _delete(self, draft: str) -> bool:
        """Whether it was there."""
        target = self._requests.path(f"messages/{quoted(draft)}")
        return (await self._requests.ask("DELETE", target, step="send", lets=(404,))).status != 404

    async def _forget(self) -> None:
        """A draft that will not be sent is not left behind, as far as it can be helped."""
        with contextlib.suppress(PostroomError):
            drafts = [self._draft] if self._draft else await self._left() if self._making else []
            for draft in drafts:
                await self._delete(draft)

    # ------------------------------------------------------------------- the send

    async def _send(self, ready: bytes | None) -> None:
        self._begun = True
        if ready is not None:
            await self._requests.ask(
                "POST", self._requests.path("sendMail"), body=ready, step="send"
            )
            return
        target = self._requests.path(f"messages/{quoted(self._draft)}/send")
        await self._requests.ask("POST", target, step="send")

    async def _went(self) -> Literal["sent", "unknown"]:
        """Whether the draft is one no longer: its immutable id outlives the way to Sent Items.

        A draft that still is one proves nothing: Exchange may be about to send it.
        """
        target = self._requests.path(f"messages/{quoted(self._draft)}", {"$select": "isDraft"})
        for wait in _LOOKS:
            await asyncio.sleep(wait)
            with contextlib.suppress(PostroomError):
                answer = await self._requests.ask("GET", target, step="send", lets=(404,))
                if answer.status == 200 and answer.json().get("isDraft") is False:
                    return "sent"
        return "unknown"
