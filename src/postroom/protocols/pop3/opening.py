"""From a socket to a signed-in POP3 session: CAPA, STLS, UTF8 (RFC 6856), AUTH or USER and PASS.

No byte of a sign-in leaves before TLS is on and verified, unless the target says so in so many
words; what the server offered before TLS is forgotten.
"""

from __future__ import annotations

from typing import Final

from postroom import clock
from postroom.errors import SignInError, TlsError, WireError
from postroom.net.dial import Step
from postroom.protocols import sasl
from postroom.protocols.base import SignIn, WireTarget
from postroom.protocols.opening import OnStep, open_wire
from postroom.protocols.pop3.machine import Answer, Pop3Core
from postroom.protocols.pop3.session import Session, code_of

__all__ = ["OnStep", "open_session"]

_AUTH_LINE: Final = 255  # bytes of a command with its CRLF: RFC 2449, 4
_ROUNDS: Final = 8
_HIDDEN: Final = b"****"


async def open_session(target: WireTarget, sign_in: SignIn, on_step: OnStep | None) -> Session:
    """Dial, secure, greet and sign in; raises as open_store says."""
    tell = on_step or (lambda step: None)
    if sign_in.method == "none":
        raise SignInError(
            "POP3 always needs a sign-in.",
            code="incomplete",
            hint="Give the connection a user and a password.",
        )
    sasl.check(sign_in)
    core = Pop3Core(target.limits)
    session = Session(await open_wire(core, target, sign_in, tell), core)
    try:
        await _Opening(session, target, sign_in, tell).walk()
    except BaseException:
        session.pump.abandon()
        raise
    return session


class _Opening:
    """The steps of one opening, timed."""

    def __init__(
        self,
        session: Session,
        target: WireTarget,
        sign_in: SignIn,
        tell: OnStep,
    ) -> None:
        self._session = session
        self._target = target
        self._sign_in = sign_in
        self._tell = tell
        self._began = clock.monotonic()

    async def walk(self) -> None:
        """All of them, in order."""
        session = self._session
        greeting = await session.answer()
        if not greeting.ok:
            error = session.refused("let us in", greeting)
            error.step = "greeting"
            raise error
        self._done("greeting", session.said(greeting))
        session.pump.step = "capabilities"
        await session.learn_capabilities()
        self._done("capabilities", self._shown())
        if self._target.security == "starttls":
            await self._start_tls()
        if session.can("UTF8"):  # never before STLS: RFC 6856, 2.1
            # Else the server may show a message with UTF-8 in its header in a form of its own.
            await session.ask(b"UTF8")
        session.pump.step = "sign-in"
        await self._sign()
        if session.capabilities is not None:  # they may change with the state: RFC 2449, 5
            await session.learn_capabilities()
        session.pump.step = "folder"

    def _done(self, name: str, detail: str, certificate: bytes | None = None) -> None:
        now = clock.monotonic()
        self._tell(Step(name, now - self._began, detail, certificate))
        self._began = now

    def _shown(self) -> str:
        known = self._session.capabilities
        return " ".join(sorted(known)) if known is not None else "the server has no CAPA"

    async def _start_tls(self) -> None:
        session = self._session
        session.pump.step = "tls"
        offered = session.capabilities is None or session.can("STLS")
        answer = await session.ask(b"STLS") if offered else None
        if answer is None or not answer.ok:
            raise TlsError(
                f"{session.pump.where} does not offer STARTTLS (STLS).",
                code="tls_unavailable",
                hint="Use security tls with the port for it (995); nothing was signed in.",
                said=session.said(answer) if answer else "",
            )
        await session.pump.start_tls(answer)
        begun = session.pump.steps[-1]
        self._done("tls", begun.detail, begun.certificate)
        session.capabilities = None  # RFC 2595, 4: what was said before is forgotten
        await session.learn_capabilities()
        self._done("capabilities", self._shown())

    async def _sign(self) -> None:
        session, sign_in = self._session, self._sign_in
        offered = (session.capabilities or {}).get("SASL", ())
        exchange = None
        fits = {"PLAIN", "LOGIN"}.intersection(name.upper() for name in offered)
        if sign_in.method == "password" and not fits:
            used, answer = "USER", await self._user_and_pass()
        else:
            exchange = sasl.Exchange(sasl.choose(offered, sign_in))
            used, answer = exchange.name, await self._sasl(exchange)
        if not answer.ok:
            raise _refused(session, answer, exchange)
        self._done("sign-in", f"{used}: {session.said(answer)}")

    async def _user_and_pass(self) -> Answer:
        session, sign_in = self._session, self._sign_in
        answer = await session.ask(b"USER " + sign_in.user.encode())
        if answer.ok and sign_in.secret is not None:
            line = b"PASS " + sign_in.secret.reveal_bytes()
            answer = await session.ask(line, shown=b"PASS " + _HIDDEN)
        return answer

    async def _sasl(self, exchange: sasl.Exchange) -> Answer:
        try:
            return await self._rounds(exchange)
        except WireError as error:
            too_long = exchange.too_long(self._session.pump.where, error.said)
            if error.code == "connection_lost" and too_long is not None:
                raise too_long from error
            raise

    async def _rounds(self, exchange: sasl.Exchange) -> Answer:
        session = self._session
        line = b"AUTH " + exchange.name.encode()
        initial = exchange.initial(_AUTH_LINE - len(line) - 3)
        if initial is None:
            answer = await session.ask(line)
        else:
            answer = await session.ask(line + b" " + initial, shown=line + b" " + _HIDDEN)
        for _ in range(_ROUNDS):
            if answer.ok is not None:
                return answer
            session.say(exchange.answer(answer.text), shown=_HIDDEN)
            answer = await session.answer()
        raise session.nonsense("a sign-in without end,")


def _refused(session: Session, answer: Answer, exchange: sasl.Exchange | None) -> SignInError:
    """RFC 2449, 8 and RFC 3206: what the code in brackets says; without one the secret is wrong."""
    code, where = code_of(answer), session.pump.where
    said = session.said(answer)
    if exchange is not None:
        said = exchange.with_challenge(said, session.pump.scrubber)
    busy = {
        "IN-USE": "The mailbox is open in another session.",
        "LOGIN-DELAY": "The server wants more time between two sign-ins.",
        "SYS/TEMP": f"{where} cannot check the sign-in at the moment.",
    }
    if code in busy:
        return SignInError(
            busy[code],
            code="deferred",
            hint="Try again later.",
            temporary=True,
            said=said,
        )
    if exchange is not None and exchange.by_token:
        return SignInError(f"{where} refused the token.", hint=sasl.TOKEN_HINT, said=said)
    return SignInError(
        f"{where} refused the sign-in.",
        hint="Check user and password; some providers want an app password, or POP3 switched on.",
        said=said,
    )
