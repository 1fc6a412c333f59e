"""What to do about a failed step: a table from errors to advice (pure)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Final

from postroom.clock import rfc3339
from postroom.connections.defaults import PORTS
from postroom.connections.providers import APP_PASSWORD, provider_of
from postroom.errors import PostroomError
from postroom.net.certificates import CertificateFacts

__all__ = ["About", "Advice", "advise", "advise_sender", "fingerprint"]


_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}")

# an smtp credential has no field security: it ticks TLS, and the port says which
_AS_SMTP: Final = {
    ("security", "tls"): "--tls --port 465",
    ("security", "starttls"): "--tls --port 587",
}


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """What was tried: which side of which record, dialled how, with which credential.

    ``last_worked`` is when the same secret was accepted last (seconds since 1970; None: never).
    ``certificates`` are what the server showed, its own first, if somebody looked.
    """

    noun: str  # "connection", or "credential" for an smtp credential used directly
    name: str
    place: str  # "incoming" or "outgoing"
    protocol: str
    host: str
    port: int
    security: str
    credential: str = ""
    last_worked: float | None = None
    certificates: tuple[CertificateFacts, ...] = ()

    def setting(self, field: str, value: str) -> str:
        """The command that changes one setting of what was tried."""
        if self.noun == "credential":
            given = _AS_SMTP.get((field, value), f"--{field} {value}")
            return f"postroom credential set {self.name} {given}"
        return f"postroom connection set {self.name} --set {self.place}.{field}={value}"

    def trusting(self, sha256: str) -> str:
        """The command that saves the certificate with this fingerprint and trusts it here."""
        place = "" if self.noun == "credential" else f" {self.place}"
        return f"postroom {self.noun} trust {self.name}{place} {sha256}"


@dataclasses.dataclass(frozen=True, slots=True)
class Advice:
    """What to do, as sentences, and the commands that do it."""

    text: str
    commands: tuple[str, ...] = ()


def advise(error: PostroomError, about: About) -> Advice:
    """The advice of the first rule that fits; without one, the hint the error brought itself."""
    for fits, answer in _RULES:
        if fits(error, about):
            return answer(error, about)
    return Advice(error.hint)


def advise_sender(error: PostroomError, about: About) -> Advice | None:
    """What to do where the account may not send as the sender; None where that is not what is wrong."""
    return _may_not_send_as(error, about) if _denied(error) else None


def fingerprint(sha256: str) -> str:
    """A fingerprint as other tools print it: upper-case hex in pairs with colons."""
    pairs = re.findall("..", sha256.upper())
    return ":".join(pairs)


# ------------------------------------------------------------------ certificates


def _untrusted(error: PostroomError, about: About) -> Advice:
    if not about.certificates:
        return Advice(error.hint)
    leaf, root = about.certificates[0], about.certificates[-1]
    if leaf.self_signed:
        what = "The server's certificate is signed by itself"
        facts = leaf
    elif root.self_signed:
        what = f"The server's certificate is signed by a private authority, {root.subject}"
        facts = root
    else:
        what = (
            f"The server's certificate is signed by {leaf.issuer}, which it does not show. Trust "
            "that authority's certificate, or this one alone (until the server renews it)"
        )
        facts = leaf
    return Advice(
        f"{what}. SHA-256 fingerprint: {fingerprint(facts.sha256)}. If its administrator says that "
        "this fingerprint is right, trust it:",
        (about.trusting(facts.sha256),),
    )


def _out_of_time(error: PostroomError, about: About) -> Advice:
    if not about.certificates:
        return Advice(error.hint)
    leaf = about.certificates[0]
    since, until = rfc3339(leaf.not_before), rfc3339(leaf.not_after)
    return Advice(f"The certificate is valid from {since} to {until}. {error.hint}")


def _other_name(error: PostroomError, about: About) -> Advice:
    shown = about.certificates[0].names if about.certificates else ()
    # whoever made the certificate chose these words, and people paste the command into a shell
    usable = [name for name in shown if _HOST.fullmatch(name)]
    if not usable:
        return Advice(error.hint)
    listed = ", ".join(about.certificates[0].names[:5])
    return Advice(
        f"The certificate names {listed}. Use one of these as host, if it is the same server.",
        (about.setting("host", usable[0]),),
    )


# ------------------------------------------------------------------ ports and security


def _not_tls(error: PostroomError, about: About) -> Advice:
    port = PORTS[about.protocol]["tls"]
    other = "" if about.port == port else f", or port {port}, where TLS comes first"
    return Advice(
        f"The server did not speak TLS at once on port {about.port}: try security starttls{other}.",
        (about.setting("security", "starttls"),),
    )


def _waits_for_tls(error: PostroomError, about: About) -> Advice:
    return Advice(
        f"The server said nothing. Port {about.port} may be one where TLS comes with the first "
        "byte: try security tls.",
        (about.setting("security", "tls"),),
    )


def _no_starttls(error: PostroomError, about: About) -> Advice:
    port = PORTS[about.protocol]["tls"]
    return Advice(
        f"The server offers no STARTTLS on port {about.port}, and without TLS nothing is sent. Try "
        f"security tls (port {port}); if it offers TLS elsewhere, somebody between may be removing "
        "the offer.",
        (about.setting("security", "tls"),),
    )


def _port_25(error: PostroomError, about: About) -> Advice:
    return Advice(
        "Most networks block port 25 for everyone but mail servers; try port 587 with starttls, "
        "or 465.",
        (about.setting("port", "587"),),
    )


# ------------------------------------------------------------------ sign-in


def _needs_tls(error: PostroomError, about: About) -> Advice:
    return Advice(
        "The server permits no sign-in without TLS: use security starttls or tls.",
        (about.setting("security", "starttls"),),
    )


def _password_refused(error: PostroomError, about: About) -> Advice:
    worked = (
        f"The same secret worked last on {rfc3339(about.last_worked)}, so it was probably changed "
        "or withdrawn there since."
        if about.last_worked is not None
        else "This secret has never worked here yet: check the user name and type it again."
    )
    provider = provider_of(about.host)
    commands = (f"postroom credential set {about.credential}",) if about.credential else ()
    if provider is None:
        also = f"Some providers want an app password. {APP_PASSWORD}"
    else:
        what = APP_PASSWORD if provider.app_password else ""
        also = " ".join(filter(None, (provider.wants, what, f"See {provider.link}")))
    by_script = (
        " The command asks for it; a script gives --password-from-env NAME (a credential of type secret: "
        "--value-from-env NAME)."
    )
    return Advice(f"{worked} {also}{by_script if commands else ''}", commands)


def _wants_certificate(error: PostroomError, about: About) -> Advice:
    return Advice(
        "The server lets nobody sign in without a certificate that it trusts. Give the connection "
        "a client_certificate (a credential of type certificate) that its administrator accepts.",
        (about.setting("client_certificate", "NAME"),),
    )


def _sign_in_later(error: PostroomError, about: About) -> Advice:
    return Advice(
        "The server put the sign-in off; the password was not refused. Try again in some minutes; "
        "if it stays so, too many connections or attempts are the usual reason."
    )


_SEND_AS: Final = re.compile(
    r"5\.7\.60\b|5\.2\.252|SendAsDenied|not owned by user|(send as|send on behalf)", re.IGNORECASE
)


def _may_not_send_as(error: PostroomError, about: About) -> Advice:
    return Advice(
        "The account may not send as this sender. Grant it Send As on that mailbox (Exchange: "
        "Add-RecipientPermission ADDRESS -Trustee WHO -AccessRights SendAs). What was granted a moment "
        "ago can take an hour to work: then wait so long and test again."
    )


# ------------------------------------------------------------------ the table

Fits = Callable[[PostroomError, About], bool]
Answer = Callable[[PostroomError, About], Advice]


def _step(error: PostroomError) -> str:
    return str(getattr(error, "step", ""))


# OpenSSL's reasons when a plain-text greeting comes where a TLS record should
_PLAIN_ANSWERS: Final = ("WRONG_VERSION", "RECORD_LAYER", "HTTP_REQUEST", "PACKET_LENGTH")


def _no_way_in(error: PostroomError) -> bool:
    """Whether the server offers no sign-in that fits: it refused nothing, for nothing was sent."""
    return _step(error) == "sign-in" and (
        error.code in ("not_supported", "cleartext_sign_in") or "offered" in error.facts
    )


def _names_a_certificate(error: PostroomError) -> bool:
    """Dovecot lets everybody in as far as TLS goes and refuses the sign-in (quirks.md)."""
    return "certificate" in str(getattr(error, "said", "")).lower()


def _denied(error: PostroomError) -> bool:
    sending = _step(error) in ("send", "mail", "rcpt", "data")
    return sending and bool(_SEND_AS.search(str(getattr(error, "said", ""))))


def _speaks_no_tls(error: PostroomError, about: About) -> bool:
    reason = str(error.facts.get("reason", ""))
    plain = any(part in reason for part in _PLAIN_ANSWERS)
    silent = error.code == "timed_out" and _step(error) == "tls"
    return about.security == "tls" and (plain or silent)


def _silent_before_tls(error: PostroomError, about: About) -> bool:
    waiting = error.code in ("timed_out", "connection_lost") and _step(error) == "greeting"
    return waiting and about.security != "tls"


# The first row that fits answers.  Codes are those of errors.CODES, steps those of WireError.
_RULES: Final[tuple[tuple[Fits, Answer], ...]] = (
    (lambda e, a: e.code == "certificate_untrusted", _untrusted),
    (lambda e, a: e.code == "certificate_name", _other_name),
    (lambda e, a: e.code == "certificate_expired", _out_of_time),
    (_speaks_no_tls, _not_tls),
    (lambda e, a: e.code == "tls_unavailable", _no_starttls),
    (lambda e, a: e.code == "timed_out" and _step(e) == "connect" and a.port == 25, _port_25),
    (_silent_before_tls, _waits_for_tls),
    (lambda e, a: _no_way_in(e) and a.security == "none", _needs_tls),
    (lambda e, a: _no_way_in(e), lambda e, a: Advice(e.hint)),
    (lambda e, a: _denied(e), _may_not_send_as),
    (lambda e, a: e.code == "sign_in_failed" and e.temporary, _sign_in_later),
    (lambda e, a: e.code == "sign_in_failed" and _names_a_certificate(e), _wants_certificate),
    (lambda e, a: e.code == "sign_in_failed", _password_refused),
)
