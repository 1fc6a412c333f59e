"""The doctor: opens a connection step by step and says what each came to, and what to do."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Mapping
from typing import Final

from postroom.clock import monotonic, now, timestamp
from postroom.connections.advice import About, advise
from postroom.connections.alerts import alerts_of
from postroom.connections.dialling import Place, Prepared, dial_store, dial_transport
from postroom.connections.direct import DIRECT
from postroom.connections.graphadvice import advise_graph
from postroom.connections.open import Opener
from postroom.connections.reaching import NOBODY, reach
from postroom.connections.report import Report, SideReport, StepResult, Tell
from postroom.connections.tokenadvice import (
    TokenFacts,
    advise_token,
    advise_without_token,
    facts_of,
    told,
)
from postroom.connections.trial import Trial, send_trial
from postroom.errors import NoServer, PostroomError, WireError
from postroom.net.certificates import CertificateFacts, certificate_facts
from postroom.net.dial import Step
from postroom.net.names import host_and_port
from postroom.net.tls import Tls

__all__ = ["test_connection", "test_credential", "test_unsaved"]

_CONNECT_SECONDS: Final = 15.0
_REPLY_SECONDS: Final = 30.0  # some servers greet late on purpose


async def test_connection(
    opener: Opener,
    name: str,
    *,
    on_step: Tell | None = None,  # noqa: PT028  # no test of ours
    trial: Trial | None = None,  # noqa: PT028
) -> Report:
    """Walk both sides of a connection, nothing changed; nothing is sent but ``trial``.

    Tokens are fetched anew.  ``on_step`` hears of each step as it ends, with the side it belongs to.
    Raises NotThere and WrongUse for a connection that cannot be resolved; what fails later is in the
    report.
    """
    report = Report("connection", name, sent=trial is not None)
    for place in await opener.places(name):
        walk = _Walk(opener, SideReport(place), on_step, trial)
        await walk.run(name, place)
        report.sides.append(walk.report)
    return report


async def test_credential(
    opener: Opener,
    name: str,
    *,
    on_step: Tell | None = None,  # noqa: PT028  # no test of ours
) -> Report:
    """The same for an ``smtp`` credential, which is an outgoing side by itself."""
    report = Report("credential", name)
    for place in await opener.places(DIRECT + name):
        walk = _Walk(opener, SideReport(place), on_step)
        await walk.run(DIRECT + name, place)
        report.sides.append(walk.report)
    return report


class _Unkept:
    """In the place of the opener: sides that are prepared, and nothing is noted of them."""

    def __init__(self, sides: Mapping[Place, Prepared]) -> None:
        self._sides = sides

    async def prepare(self, name: str, place: Place, *, anew: bool = False) -> Prepared:
        return self._sides[place]

    async def worked(self, prepared: Prepared, opened: object) -> None: ...

    async def failed(self, name: str, place: Place, error: PostroomError) -> None: ...


async def test_unsaved(
    name: str,
    sides: Mapping[Place, Prepared],
    *,
    on_step: Tell | None = None,  # noqa: PT028  # no test of ours
    reach: bool,
) -> Report:
    """The same for sides that somebody has typed and not saved; ``reach``: up to the sign-in alone."""
    report = Report("connection", name)
    for place in sides:
        walk = _Walk(_Unkept(sides), SideReport(place), on_step, reach=reach)
        await walk.run(name, place)
        report.sides.append(walk.report)
    return report


class _Walk:
    """One side, step by step."""

    def __init__(
        self,
        opener: Opener | _Unkept,
        report: SideReport,
        on_step: Tell | None,
        trial: Trial | None = None,
        *,
        reach: bool = False,
    ) -> None:
        self._prepared: Prepared | None = None
        self._trial = trial
        self._reach = reach
        self._opener = opener
        self.report = report
        self._tell = on_step
        self._began = monotonic()

    async def run(self, name: str, place: Place) -> None:
        """All steps until one fails; every error of ours ends in the report."""
        try:
            await self._walked(name, place)
        except PostroomError as error:
            prepared = self._prepared
            await self._opener.failed(name, place, error)
            self._failed(error, prepared)
            if prepared is None:
                self.report.advice = advise_without_token(error, name)
                return
            if error.code.startswith("certificate_"):
                self.report.certificates = await _look(prepared)
            about = _about(prepared, self.report.certificates)
            facts = _facts(prepared)
            if about.protocol == "graph":
                self.report.advice = advise_graph(error, about, facts)
                return
            self.report.advice = (
                advise(error, about) if facts is None else advise_token(error, about, facts)
            )

    async def _walked(self, name: str, place: Place) -> None:
        self._prepared = prepared = _hurried(await self._opener.prepare(name, place, anew=True))
        self.report.where = host_and_port(prepared.side.host, prepared.side.port)
        self._token(prepared)
        if self._reach:
            await reach(prepared, self._step)
        else:
            await {"incoming": self._incoming, "outgoing": self._outgoing}[place](prepared)

    async def _incoming(self, prepared: Prepared) -> None:
        store = await dial_store(prepared, self._step)
        try:
            await self._opener.worked(prepared, store)
            state = await store.open("INBOX", read_only=True)
            self._done("folder", f"INBOX: {state.exists} messages")
            for alert in alerts_of(store):
                self._done("alert", f"the server says: {alert}")
        except BaseException:
            store.abandon()
            raise
        await store.close()

    async def _outgoing(self, prepared: Prepared) -> None:
        transport = await dial_transport(prepared, self._step)
        try:
            await self._opener.worked(prepared, transport)
            sender = prepared.sign_in.user
            if self._trial is not None:
                self._done("send", await send_trial(transport, self._trial, self.report.where))
            elif "@" in sender:
                await transport.try_sender(sender)
                graph = prepared.side.protocol == "graph"
                what = f"sending from {sender}" if graph else f"MAIL FROM:<{sender}>"
                self._done("send", f"{what} is accepted; nothing was sent")
            else:
                await transport.check()
                self._done("send", "the server answers; the user is no address to try as sender")
        except BaseException:
            transport.abandon()
            raise
        await transport.close()

    # ------------------------------------------------------------------ steps

    def _token(self, prepared: Prepared) -> None:
        """The token that was fetched just now, as far as it is known; the time begins after it."""
        facts = _facts(prepared)
        if facts is None:
            self._began = monotonic()
        else:
            self._done("token", told(facts, timestamp()))

    def _step(self, step: Step) -> None:
        """A step the wire tells of as it ends."""
        if step.certificate is None:
            self._add(StepResult(step.name, True, step.seconds * 1000, step.detail))
            return
        facts = certificate_facts(step.certificate)
        self.report.certificates = (facts,)
        shown = _certificate(facts)
        detail = f"{step.detail}; certificate of {shown}"
        self.report.steps.append(StepResult(step.name, True, step.seconds * 1000, detail))
        if self._tell is not None:  # people read it in a line of its own
            place = self.report.place
            self._tell(place, StepResult(step.name, True, step.seconds * 1000, step.detail))
            self._tell(place, StepResult("certificate", True, 0.0, shown))

    def _done(self, name: str, detail: str) -> None:
        self._add(StepResult(name, True, self._since_last(), detail))

    def _since_last(self) -> float:
        """Milliseconds that no step has accounted for yet."""
        spent = sum(step.ms for step in self.report.steps)
        return max(0.0, (monotonic() - self._began) * 1000 - spent)

    def _failed(self, error: PostroomError, prepared: Prepared | None) -> None:
        self.report.error = error
        step = (error.step if isinstance(error, WireError) else "") or (
            self._at(prepared) if prepared else "secret"
        )
        if prepared is None and (isinstance(error, WireError) or error.code == "sign_in_required"):
            step = "token"  # before a side is prepared only an authorization server is spoken to
        spent = 0.0 if isinstance(error, NoServer) else self._since_last()
        self._add(StepResult(step, False, spent, error.reason))

    def _at(self, prepared: Prepared) -> str:
        """The step that comes after those that are done: what went wrong on our side of it."""
        done = {step.name for step in self.report.steps}
        if not done - {"token"}:
            return "connect"
        if "sign-in" not in done and prepared.sign_in.secret is not None:
            return "sign-in"
        return "folder" if prepared.side.place == "incoming" else "send"

    def _add(self, result: StepResult) -> None:
        self.report.steps.append(result)
        if self._tell is not None:
            self._tell(self.report.place, result)


def _certificate(facts: CertificateFacts) -> str:
    """Whom it names, who signed it, how long it holds, and what to compare it by."""
    names = ", ".join(facts.names[:3]) or facts.subject
    more = f" and {len(facts.names) - 3} more" if len(facts.names) > 3 else ""
    days = (facts.not_after - now()).days
    left = "1 day left" if days == 1 else f"{days} days left"
    return (
        f"{names}{more}, issued by {facts.issuer}, until {facts.not_after:%Y-%m-%d} ({left}), "
        f"SHA-256 {facts.sha256}"
    )


async def _look(prepared: Prepared) -> tuple[CertificateFacts, ...]:
    """The certificates the server shows, trusted or not; the connection ends with the handshake."""
    target = dataclasses.replace(
        prepared.target, tls=Tls(look_only=True), sign_in_without_tls=False
    )
    looking = dataclasses.replace(prepared, target=target, sign_in=NOBODY, veiled="")
    dialling = dial_store if prepared.side.place == "incoming" else dial_transport
    try:
        opened = await dialling(looking)
    except PostroomError as error:
        chain = error.facts.get("chain", [])
        return tuple(certificate_facts(ssl.PEM_cert_to_DER_cert(pem)) for pem in chain)
    opened.abandon()
    return ()


def _hurried(prepared: Prepared) -> Prepared:
    """With shorter time-outs: somebody sits and waits."""
    limits = prepared.target.limits
    shorter = dataclasses.replace(
        limits,
        connect_timeout=min(limits.connect_timeout, _CONNECT_SECONDS),
        reply_timeout=min(limits.reply_timeout, _REPLY_SECONDS),
    )
    return dataclasses.replace(
        prepared, target=dataclasses.replace(prepared.target, limits=shorter)
    )


def _facts(prepared: Prepared) -> TokenFacts | None:
    """What is known of the token of a side; None where none is presented."""
    if prepared.side.grant is None or prepared.access is None:
        return None
    return facts_of(prepared.side.grant, prepared.access, prepared.sign_in.user)


def _about(prepared: Prepared, certificates: tuple[CertificateFacts, ...]) -> About:
    side = prepared.side
    return About(
        noun=prepared.noun, name=prepared.name, place=side.place, protocol=side.protocol,
        host=side.host, port=side.port, security=side.security, credential=side.auth.credential,
        last_worked=prepared.last_worked, certificates=certificates,
    )  # fmt: skip
