"""From a socket to a signed-in SMTP connection: EHLO, STARTTLS (RFC 3207), AUTH (RFC 4954).

No byte of a sign-in leaves before TLS is on and verified, unless the target says so in so many
words; what the server offered before TLS is forgotten.
"""

from __future__ import annotations

from typing import Any, Final

from postroom import clock
from postroom.errors import SignInError, TlsError, WireError
from postroom.net.dial import Step
from postroom.protocols import sasl
from postroom.protocols.base import Reply, SignIn, WireTarget
from postroom.protocols.opening import OnStep, open_wire
from postroom.protocols.pump import Pump
from postroom.protocols.smtp import commands
from postroom.protocols.smtp.dialogue import Dialogue, said
from postroom.protocols.smtp.machine import Capabilities, SmtpCore, parse_capabilities

__all__ = ["OnStep", "open_dialogue"]

ANONYMOUS: Final = "[127.0.0.1]"
"""What EHLO says unless told otherwise: valid everywhere, and nothing about this machine."""

# Room on the AUTH line for "AUTH ", the name, a blank and CRLF; a longer initial response waits for
# 334, because stock Postfix refuses more than 2048 bytes and others more than 512.
_AUTH_LINE: Final = 500
_ROUNDS: Final = 8


async def open_dialogue(
    target: WireTarget, sign_in: SignIn, hello: str, on_step: OnStep | None
) -> tuple[Dialogue, Capabilities]:
    """The connection and what it offers once everything is done; raises as open_transport says."""
    tell = on_step or (lambda step: None)
    hello = hello or ANONYMOUS
    commands.ehlo(hello)  # refused before dialling
    pump = await open_wire(SmtpCore(target.limits), target, sign_in, tell)
    dialogue = Dialogue(pump, target.limits)
    try:
        server = await _Opening(dialogue, target, sign_in, hello, tell).walk()
    except BaseException:
        pump.abandon()
        raise
    return dialogue, server


class _Opening:
    """The steps of one opening, timed."""

    def __init__(
        self,
        dialogue: Dialogue,
        target: WireTarget,
        sign_in: SignIn,
        hello: str,
        tell: OnStep,
    ) -> None:
        self._dialogue = dialogue
        self._target = target
        self._sign_in = sign_in
        self._hello = hello
        self._tell = tell
        self._server = Capabilities()
        self._began = clock.monotonic()

    async def walk(self) -> Capabilities:
        """All of them, in order."""
        greeting = self._dialogue.reply(await self._dialogue.answer("greeting"), "greeting")
        if greeting.code != 220:
            raise self._dialogue.refused("does not let us in", greeting)
        self._done("greeting", said(greeting))
        await self._ehlo()
        if self._target.security == "starttls":
            await self._start_tls()
            await self._ehlo()
        if self._sign_in.method != "none":
            await self._authenticate()
        return self._server

    def _done(self, name: str, detail: str, certificate: bytes | None = None) -> None:
        now = clock.monotonic()
        self._tell(Step(name, now - self._began, detail, certificate))
        self._began = now

    async def _ehlo(self) -> None:
        dialogue = self._dialogue
        answer = await dialogue.ask(commands.ehlo(self._hello), "ehlo")
        reply = dialogue.reply(answer, "ehlo")
        # HELO has no TLS and no sign-in, so it will do only where neither is wanted
        plain = self._sign_in.method == "none" and self._target.security != "starttls"
        if reply.state == "rejected" and plain:
            reply = dialogue.reply(await dialogue.ask(commands.helo(self._hello), "ehlo"), "ehlo")
        elif reply.state == "accepted":
            self._server = parse_capabilities(answer)
        if reply.state != "accepted":
            raise dialogue.refused("does not take our greeting", reply)
        self._done("ehlo", " ".join(sorted(self._server.keywords)))

    async def _start_tls(self) -> None:
        dialogue = self._dialogue
        if "STARTTLS" not in self._server:
            raise TlsError(
                f"{dialogue.pump.where} does not offer STARTTLS.",
                code="tls_unavailable",
                hint="Use security tls with the port for it (465); nothing was signed in.",
            )
        answer = await dialogue.ask(commands.STARTTLS, "tls")
        reply = dialogue.reply(answer, "tls")
        if reply.code != 220:
            raise TlsError(
                f"{dialogue.pump.where} offers STARTTLS and then does not begin it.",
                code="tls_unavailable",
                hint="Tell who runs the server; nothing was signed in.",
                temporary=reply.state == "deferred",
                said=said(reply),
            )
        try:
            await dialogue.start_tls(answer)
        except WireError as error:
            raise dialogue.dead(error) from None
        self._server = Capabilities()  # RFC 3207, 4.2: what was said before is forgotten
        begun = dialogue.pump.steps[-1]
        self._done("tls", begun.detail, begun.certificate)

    async def _authenticate(self) -> None:
        dialogue = self._dialogue
        exchange = sasl.Exchange(sasl.choose(self._server.mechanisms, self._sign_in))
        initial = exchange.initial(_AUTH_LINE - len(commands.auth(exchange.name, b"")))
        shown = commands.auth(exchange.name, b"****" if initial is not None else None)
        dialogue.put_secret(commands.auth(exchange.name, initial), shown)
        answer = await dialogue.answer("sign-in")
        for _ in range(_ROUNDS):
            if answer.code != 334:
                break
            dialogue.put_secret(exchange.answer(answer.lines[0]) + b"\r\n", b"****\r\n")
            answer = await dialogue.answer("sign-in")
        reply = dialogue.reply(answer, "sign-in")
        if reply.code != 235:
            raise _sign_in_refused(dialogue.pump, exchange, reply)
        self._done("sign-in", f"{exchange.name}: {said(reply)}")


def _sign_in_refused(pump: Pump, exchange: sasl.Exchange, reply: Reply) -> SignInError:
    """535 and its kin; 454 and other 4yz say that the server cannot tell at the moment."""
    temporary = reply.state == "deferred"
    facts: dict[str, Any] = {"mechanism": exchange.name, "smtp_code": reply.code}
    where = pump.where
    if challenge := exchange.challenge(pump.scrubber):
        facts["challenge"] = challenge
    told = exchange.with_challenge(said(reply), pump.scrubber)
    if reply.code == 500 and (error := exchange.too_long(where, told)) is not None:
        return error
    if temporary:
        return SignInError(
            f"{where} cannot check the sign-in at the moment.",
            code="deferred", hint="Try again later.", temporary=True, said=told, **facts,
        )  # fmt: skip
    return SignInError(
        f"{where} refused the {'token' if exchange.by_token else 'sign-in'}.",
        hint=sasl.TOKEN_HINT
        if exchange.by_token
        else "Check user and password; some providers want an app password here.",
        said=told,
        **facts,
    )
