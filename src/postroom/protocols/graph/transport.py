"""The transport of Microsoft Graph: base.Transport, one message after the other, and how to open one.

A message becomes a draft, and the draft is sent: so a lost answer can be looked up by the draft's
id, and what was taken (202) is never sent again.  See ``composing`` for MIME or structured.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from postroom.errors import PostroomError, WireError
from postroom.protocols.base import Outcome, SignIn, Submission, WireTarget
from postroom.protocols.graph.refusals import refusal
from postroom.protocols.graph.requests import Requests
from postroom.protocols.graph.sending import Sending, reply_of
from postroom.protocols.graph.uploads import LARGEST
from postroom.protocols.opening import OnStep
from postroom.protocols.smtp.machine import Capabilities
from postroom.protocols.smtp.transaction import prepare

__all__ = ["GraphTransport", "open_transport"]

_MOST: Final = LARGEST * 4 // 3 + 1024 * 1024  # one file of 150 MB in base64, and a text
_CAN: Final = Capabilities({"SIZE": (str(_MOST),), "8BITMIME": (), "SMTPUTF8": ()})


class GraphTransport:
    """base.Transport over Graph, from one mailbox.

    All recipients of a message have one reply: Exchange takes a message whole, and sends a DSN
    later for whom it could not reach.  What it took lies in Sent Items.
    """

    def __init__(self, requests: Requests, mailbox: str, *, drafts: bool) -> None:
        self.max_size = _MOST
        self._requests = requests
        self._mailbox = mailbox
        self._drafts = drafts
        self._failure: PostroomError | None = None

    async def submit(self, submissions: Sequence[Submission]) -> AsyncGenerator[Outcome, None]:
        """Submit in order; one outcome for each."""
        for submission in submissions:
            if self._failure is not None:
                yield Outcome(submission.id, "untouched", [], self._failure)
                continue
            made = prepare(submission, _CAN)
            if isinstance(made, Outcome):
                yield made
                continue
            sending = Sending(self._requests, made, mailbox=self._mailbox, drafts=self._drafts)
            outcome = await sending.run()
            error = outcome.error
            if isinstance(error, WireError) and reply_of(error) is None:
                self._failure = error
            yield outcome

    async def check(self) -> None:
        """One request; raises WireError when nothing can be sent any more."""
        if self._failure is not None:
            raise self._failure
        await self._requests.ask("GET", _probe(self._requests), step="send", lets=(403,))

    async def try_sender(self, address: str) -> None:
        """Would the app be let in to send?  Nothing is sent (the doctor asks).

        A sendMail without a message: 403 says that Mail.Send is missing, 400 that it is there.
        Whether another From is allowed shows only when it is used.
        """
        target = self._requests.path("sendMail")
        await self._requests.ask("POST", target, body={}, step="send", lets=(400,))

    async def close(self) -> None:
        """Close the connections."""
        await self._requests.close()

    def abandon(self) -> None:
        """Close at once.  Never raises."""
        self._failure = self._failure or WireError(
            "The connection was given up.", code="connection_lost", temporary=True
        )
        self._requests.abandon()


def _probe(requests: Requests) -> str:
    return requests.path("mailFolders/drafts", {"$select": "id"})


async def open_transport(
    target: WireTarget, sign_in: SignIn, *, on_step: OnStep | None = None
) -> GraphTransport:
    """Dial, and prove the token; whether drafts can be made shows on the way.

    Raises DialError, TlsError, SignInError, WireError, ProtocolError.
    """
    requests = Requests(target, sign_in, on_step)
    try:
        answer = await requests.first(_probe(requests), lets=(403, 404))
        if answer.status == 404:
            raise refusal(answer, step="mailbox")
    except BaseException:
        await requests.close()
        raise
    return GraphTransport(requests, sign_in.user, drafts=answer.status == 200)
