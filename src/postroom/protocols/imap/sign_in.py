"""From a connected socket to a signed-in session (RFC 9051, 6.1 to 6.3; RFC 8314).

    greeting -> [STARTTLS -> TLS, everything forgotten] -> capabilities -> sign-in -> capabilities

No byte of a secret leaves before TLS is on and verified, unless the target permits it in so many
words.  A server that says "you are signed in already" (PREAUTH) is believed over TLS only.
"""

from __future__ import annotations

from typing import Final

from postroom import clock
from postroom.errors import ProtocolError, SignInError, TlsError, WireError
from postroom.net.dial import Step
from postroom.protocols import sasl
from postroom.protocols.base import SignIn, WireTarget
from postroom.protocols.imap import commands
from postroom.protocols.imap.machine import Machine
from postroom.protocols.imap.refusals import not_understood, sign_in_refused
from postroom.protocols.imap.responses import Done, Status
from postroom.protocols.imap.session import Session
from postroom.protocols.opening import OnStep, open_wire

__all__ = ["OnStep", "open_session"]

_ROOM: Final = 7000  # bytes of an initial response; a longer one waits for the server's go-ahead
_ROUNDS: Final = 8
_ENABLE: Final = ("CONDSTORE", "QRESYNC", "UTF8=ACCEPT")  # RFC 7162, RFC 6855


async def open_session(
    target: WireTarget, sign_in: SignIn, on_step: OnStep | None = None
) -> Session:
    """Dial, secure, greet and sign in.

    Raises DialError, TlsError, ProtocolError, SignInError.  ``on_step`` hears of each step as it
    ends, also of those before a failure.
    """
    tell = on_step or (lambda step: None)
    core = Machine(target.limits)
    session = Session(await open_wire(core, target, sign_in, tell), core)
    try:
        await _Opening(session, target, sign_in, tell).walk()
    except BaseException:
        session.pump.abandon()
        raise
    return session


class _Opening:
    """The steps of one opening, timed."""

    def __init__(self, session: Session, target: WireTarget, sign_in: SignIn, tell: OnStep) -> None:
        self._session = session
        self._target = target
        self._sign_in = sign_in
        self._tell = tell
        self._began = clock.monotonic()

    async def walk(self) -> None:
        """All of it."""
        session = self._session
        session.trusted = self._target.security != "starttls"
        greeting = await self._greet()
        if self._target.security == "starttls":
            await self._start_tls(greeting)
        await self._capabilities()
        if greeting.state == "PREAUTH":
            self._already(greeting)
        else:
            await self._sign()

    async def _greet(self) -> Status:
        self._begin("greeting")
        session = self._session
        while session.greeting is None:
            await session.step()
        self._end(session.said(session.greeting))
        return session.greeting

    async def _start_tls(self, greeting: Status) -> None:
        session = self._session
        pump = session.pump
        pump.step = "tls"
        if greeting.state == "PREAUTH":
            raise ProtocolError(
                "The server signed us in before TLS began, which would leave everything readable.",
                hint="Use security tls; if the server has none, ask its administrator.",
                step="greeting",
            )
        if not session.capabilities:
            await self._ask_capabilities()
        if not session.can("STARTTLS"):
            raise _no_tls("The server does not offer STARTTLS")
        done = await session.run(commands.plain("STARTTLS"))
        if done.state != "OK":
            raise _no_tls("The server refused STARTTLS", session.said(done))
        await pump.start_tls(done)
        session.core.secured()
        session.learn(frozenset())
        session.alerts.clear()
        session.trusted = True
        self._tell(pump.steps[-1])

    async def _capabilities(self) -> None:
        self._begin("capabilities")
        if not self._session.capabilities:
            await self._ask_capabilities()
        self._end(" ".join(sorted(self._session.capabilities)))

    async def _ask_capabilities(self) -> None:
        session = self._session
        done = await session.run(commands.plain("CAPABILITY"))
        if done.state != "OK":
            raise not_understood(session, done)

    def _already(self, greeting: Status) -> None:
        """PREAUTH.  Whom the server took us for is only sure when TLS says who the server is."""
        if self._sign_in.method != "none" and self._target.security != "tls":
            raise ProtocolError(
                "The server says we are signed in already, and nothing proves who it is.",
                step="sign-in",
            )
        self._begin("sign-in")
        self._end("by the server itself (PREAUTH)")

    async def _sign(self) -> None:
        self._begin("sign-in")
        session, sign_in = self._session, self._sign_in
        if sign_in.method == "none":
            raise SignInError(
                "The server wants a sign-in and this connection has none.",
                hint="Give the connection a credential.",
            )
        before = session.capabilities
        session.hidden = b"(the sign-in)\r\n"
        try:
            done, how, exchange = await self._exchange()
        except WireError as error:
            if session.bye is not None:
                raise sign_in_refused(session, session.bye) from error
            raise
        session.hidden = None
        if done.state != "OK":
            raise sign_in_refused(session, done, exchange)
        if session.capabilities is before:
            await self._ask_capabilities()
        if session.can("ID"):
            # RFC 2971; not waited for.  NetEase (163.com, 126.com) opens no folder without it
            session.send(commands.plain("ID", '("name" "postroom")'))
        # UTF8=ONLY gives nothing at all before it is asked for UTF-8 (RFC 6855, 6)
        able = session.capabilities | ({"UTF8=ACCEPT"} if session.can("UTF8=ONLY") else set())
        wanted = [name for name in _ENABLE if name in able]
        if wanted and session.can("ENABLE"):
            # not waited for either: from here on every folder tells its HIGHESTMODSEQ
            session.extensions.ask(wanted)
            session.send(commands.plain("ENABLE", *wanted))
        self._end(how)

    async def _exchange(self) -> tuple[Done, str, sasl.Exchange | None]:
        session, sign_in = self._session, self._sign_in
        offered = [name[5:] for name in session.capabilities if name.startswith("AUTH=")]
        if sign_in.method == "password" and not {"PLAIN", "LOGIN"} & set(offered):
            if session.can("LOGINDISABLED"):
                raise SignInError(
                    "The server takes no password here (LOGINDISABLED).",
                    hint="It may want TLS first, or another kind of sign-in such as OAuth.",
                    offered=sorted(offered),
                )
            return await session.run(commands.login(sign_in)), "LOGIN", None
        exchange = sasl.Exchange(sasl.choose(offered, sign_in))
        try:
            return await self._rounds(exchange), exchange.name, exchange
        except WireError as error:
            too_long = exchange.too_long(session.pump.where, error.said)
            if error.code == "connection_lost" and session.bye is None and too_long is not None:
                raise too_long from error
            raise

    async def _rounds(self, exchange: sasl.Exchange) -> Done:
        session = self._session
        initial = exchange.initial(_ROOM) if session.can("SASL-IR") else None
        pending = session.send(commands.authenticate(exchange.name, initial))
        for _ in range(_ROUNDS):
            challenge = await session.challenge(pending)
            if challenge is None:
                break
            session.answer(exchange.answer(challenge))
        else:
            session.answer(b"*")
        return await session.finish(pending)

    def _begin(self, step: str) -> None:
        self._session.pump.step = step
        self._began = clock.monotonic()

    def _end(self, detail: str) -> None:
        self._tell(Step(self._session.pump.step, clock.monotonic() - self._began, detail))


def _no_tls(sentence: str, said: str = "") -> TlsError:
    return TlsError(
        f"{sentence}{f': {said}' if said else ''}. Somebody between may have taken it away.",
        code="tls_unavailable",
        hint="Use security tls (port 993) if the server has it.",
        said=said,
    )
