"""One real message, sent past the outbox to see whether sending works."""

from __future__ import annotations

import dataclasses

from postroom.errors import PostroomError, SendError
from postroom.protocols.base import Envelope, Outcome, Reply, Submission, Transport
from postroom.protocols.content import Held

__all__ = ["Trial", "send_trial"]


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """A message that is ready to leave: its bytes, its envelope, its Message-ID; ``author`` is who it
    says it is from, where that is not the sender of the envelope.
    """

    content: bytes
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    utf8: bool = False
    author: str = ""


async def send_trial(transport: Transport, trial: Trial, where: str) -> str:
    """Submit it once, and never again; gives what the server said to it.

    Raises SendError (``rejected``, ``deferred``), or what ended the connection.
    """
    envelope = Envelope(trial.sender, trial.recipients)
    one = Submission("test", envelope, Held(trial.content), utf8=trial.utf8)
    outcome: Outcome | None = None
    async for each in transport.submit([one]):
        outcome = each
    if outcome is None or outcome.state != "answered":
        if outcome is not None and isinstance(outcome.error, PostroomError):
            raise outcome.error
        raise SendError(
            f"{where} did not say whether it has taken the message.",
            hint=f"Look whether it arrived: {trial.message_id}",
        )
    reply = next(
        (one.reply for one in outcome.recipients if one.reply.state != "accepted"),
        outcome.recipients[0].reply,
    )
    if reply.state != "accepted":
        raise _refused(reply, where)
    to = ", ".join(trial.recipients)
    by = f"{trial.author}, by {trial.sender}" if trial.author else trial.sender
    return f"from {by} to {to}: {_said(reply)}; Message-ID {trial.message_id}"


def _refused(reply: Reply, where: str) -> SendError:
    from postroom.protocols.smtp.replies import explain

    sentence, hint = explain(reply)
    later = reply.state == "deferred"
    return SendError(
        f"{where} did not take the message: {sentence[0].lower()}{sentence[1:]}",
        code="deferred" if later else "rejected", said=_said(reply), hint=hint, temporary=later,
    )  # fmt: skip


def _said(reply: Reply) -> str:
    return " ".join(filter(None, (str(reply.code or ""), reply.enhanced, reply.text)))
