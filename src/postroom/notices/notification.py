"""The notification: who is told what a person has to know, and how; declared once."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import model_validator

from postroom.fields import Duration, Fields, Name, field
from postroom.net.names import parse_proxy
from postroom.net.origin import split_url

__all__ = ["CAUSES", "SECRET_PART", "Cause", "Notify", "Way"]

Cause = Literal["expiry", "sign-in", "source", "ledger", "outbox", "job", "audit", "worker"]
"""What people are told of."""
CAUSES: Final[dict[Cause, str]] = {
    "expiry": "a credential, a client secret or a certificate expires, in 30, 14, 7, 3 and 1 days",
    "sign-in": "somebody has to sign in again",
    "source": "a source has failed, or tries again in vain, for 15 minutes",
    "ledger": "messages failed on the way to their sink",
    "outbox": "messages were not sent, or nobody knows whether they were",
    "job": "a run of a job failed that its schedule or a message began",
    "audit": "the audit record is not whole",
    "worker": "no worker runs",
}
Way = Literal["service", "webhook", "command", "ping"]
SECRET_PART: Final = "{secret}"
"""What the secret of a credential stands for in an address."""
_SHORTEST: Final = 60.0
_OF_THE_WEB: Final = ("credential", "signing", "trust", "proxy")


class Notify(Fields):
    """Who is told, and how: through a service, by a webhook, by a program; or a regular ping."""

    name: Name = field(label="Name")
    description: str = field("", label="Description")
    service: str = field(
        "",
        label="Service",
        refers_to="service",
        help="Tell by email, through this service.",
    )
    to: list[str] = field(
        default_factory=list, label="To", help="The addresses of an email; with a service."
    )
    url: str = field(
        "",
        label="Address",
        help="Tell by a webhook: JSON is posted to this https address. {secret} in its path or query "
        "stands for the secret of the credential.",
    )
    credential: str = field(
        "",
        label="Credential",
        refers_to="credential",
        help="Of type secret; its value takes the place of {secret} in the address.",
    )
    signing: str = field(
        "",
        label="Signed with",
        refers_to="credential",
        help="A credential of type secret: what is posted is signed with it (Standard Webhooks).",
    )
    trust: str = field(
        "",
        label="Trust",
        refers_to="credential",
        help="A trusted_certificate for the server of the address, in place of the system's.",
    )
    proxy: str = field("", label="Proxy", help="HOST:PORT of an HTTP CONNECT proxy.")
    every: Duration | None = field(
        None,
        label="Every",
        help="Tell of nothing: only ask the address so often, so that whoever watches it there notices "
        "when it is not asked any more. Such as 1d.",
    )
    method: Literal["POST", "GET"] = field("POST", label="Method", help="Of a ping.")
    command: list[str] = field(
        default_factory=list,
        label="Command",
        help="Tell by a program: its words. It reads the notice on standard input, as JSON.",
    )
    causes: list[Cause] = field(
        default_factory=list,
        label="Causes",
        help="Only of these; empty: of all. "
        + "; ".join(f"{k}: {v}" for k, v in CAUSES.items())
        + ".",
    )
    instead_of: str = field(
        "",
        label="Instead of",
        refers_to="notify",
        help="Another notification: this one is told only where that one cannot be, or where it works "
        "over what is broken.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [one for one in ("service", "url", "command") if getattr(self, one)]
        if len(given) != 1:
            raise ValueError("give one of service, url and command: how it is told")
        if bool(self.to) != bool(self.service):
            raise ValueError("to: belongs to a service, which has to be told to somebody")
        if not self.url:
            odd = next((one for one in _OF_THE_WEB if getattr(self, one)), "")
            if odd or self.every is not None:
                raise ValueError(f"{odd or 'every'}: belongs to an address (url)")
        if self.every is None and self.method != "POST":
            raise ValueError("method: a webhook is posted; GET is for a ping, which has every")
        if any("\0" in word for word in self.command) or self.command[:1] == [""]:
            raise ValueError("command: name a program; a NUL cannot stand in its words")
        return self

    @model_validator(mode="after")
    def _an_address(self) -> Self:
        if self.proxy:
            parse_proxy(self.proxy, field="proxy")
        if not self.url:
            return self
        before, part, after = self.url.partition(SECRET_PART)
        parts = split_url(f"{before}x{after}" if part else self.url)
        if not parts.secure:
            raise ValueError("url: only https:// is asked; anybody on the way could read the rest")
        if SECRET_PART in after or (part and before.count("/") < 3):
            raise ValueError("url: {secret} stands in it once, behind the name of the server")
        if bool(part) != bool(self.credential):
            raise ValueError(
                "credential: goes with {secret} in the address, and the other way round"
            )
        return self

    @model_validator(mode="after")
    def _a_ping(self) -> Self:
        if self.every is None:
            return self
        if self.every < _SHORTEST:
            raise ValueError("every: once a minute is the most")
        if self.causes or self.instead_of:
            raise ValueError(
                "every: a ping tells of nothing, so it has no causes and replaces nobody"
            )
        if self.signing and self.method == "GET":
            raise ValueError("signing: signs what is posted; a GET has nothing to sign")
        return self

    @property
    def way(self) -> Way:
        """How it is told."""
        if self.service:
            return "service"
        if self.command:
            return "command"
        return "webhook" if self.every is None else "ping"

    @property
    def where(self) -> str:
        """To whom or where, for people; no secret is in it."""
        if self.service:
            return f"{', '.join(self.to)} through {self.service}"
        return self.command[0] if self.command else split_url(self.bare_url).where

    @property
    def bare_url(self) -> str:
        """The address with nothing where its secret belongs: for its parts."""
        return self.url.replace(SECRET_PART, "x")

    def hears_of(self, cause: str) -> bool:
        """Whether it is told of causes of that kind."""
        return self.every is None and (not self.causes or cause in self.causes)
