"""The message store of IMAP: base.MessageStore out of the verbs, and how to open one."""

from __future__ import annotations

import contextlib
from typing import Final

from postroom.errors import PostroomError
from postroom.protocols.base import Features, SignIn, WireTarget
from postroom.protocols.imap import commands
from postroom.protocols.imap.arrivals import ArrivalVerb
from postroom.protocols.imap.changes import ChangeVerbs
from postroom.protocols.imap.idle import IdleVerb
from postroom.protocols.imap.session import Session
from postroom.protocols.imap.sign_in import OnStep, open_session
from postroom.protocols.pump import Pump

__all__ = ["ImapStore", "open_store"]

_GOODBYE: Final = 2.0  # seconds


class ImapStore(ArrivalVerb, ChangeVerbs, IdleVerb):
    """An open IMAP connection; see base.MessageStore for what each verb does.

    It belongs to one task at a time.  ``pump`` has the peer's facts and the transcript.
    """

    def __init__(self, session: Session, target: WireTarget) -> None:
        super().__init__(session, target.limits)
        can = session.can
        self.features = Features(
            move=can("MOVE") or can("UIDPLUS"),
            push=can("IDLE"),
            exact_expunge=can("UIDPLUS"),
            arrivals=True,
        )

    @property
    def pump(self) -> Pump:
        """The connection: steps, peer, transcript."""
        return self._session.pump

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server announced after the sign-in."""
        return self._session.capabilities

    @property
    def alerts(self) -> list[str]:
        """What the server wants a person to read ([ALERT]), the last few."""
        return list(self._session.alerts)

    async def close(self) -> None:
        """LOGOUT and close.  Errors while saying goodbye are nobody's business."""
        session = self._session
        session.leaving = True
        session.pump.step = "close"
        with contextlib.suppress(PostroomError), session.pump.within(_GOODBYE):
            await session.run(commands.plain("LOGOUT"))
        await session.pump.close()

    def abandon(self) -> None:
        """Close at once, without a word.  Never raises."""
        self._session.pump.abandon()


async def open_store(
    target: WireTarget, sign_in: SignIn, *, on_step: OnStep | None = None
) -> ImapStore:
    """Dial, secure and sign in.

    ``on_step`` hears of resolve, connect, (proxy), tls, greeting, capabilities and sign-in as they
    end, also of those before a failure.  Raises DialError, TlsError, ProtocolError, SignInError,
    InvalidValue.
    """
    session = await open_session(target, sign_in, on_step)
    session.pump.step = "folder"
    return ImapStore(session, target)
