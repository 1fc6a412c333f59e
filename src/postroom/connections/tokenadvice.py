"""What a token says of itself, and what to do when a mail server refuses it (pure)."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from postroom.clock import rfc3339
from postroom.connections.advice import About, Advice, advise
from postroom.credentials.tokens import Access, Grant
from postroom.errors import PostroomError
from postroom.oauth.discovery import is_entra
from postroom.oauth.refusals import explain

__all__ = ["DELAY", "TokenFacts", "advise_token", "advise_without_token", "facts_of", "told"]

DELAY: Final = (
    "What was granted a moment ago can take an hour to work at Microsoft (two with RBAC for "
    "Applications): then wait so long and test again."
)
_FLOWS: Final = {
    "client_credentials": "the application itself",
    "device_flow": "a person, by device flow",
    "authorization_code": "a person, by authorization code",
}
_OF_APP: Final = {"imap": "IMAP.AccessAsApp", "pop3": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}
_OF_PERSON: Final = {
    "imap": "IMAP.AccessAsUser.All",
    "pop3": "POP.AccessAsUser.All",
    "smtp": "SMTP.Send",
}
_EXCHANGE: Final = ("https://outlook.office365.com", "https://outlook.office.com")
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,250}")


@dataclasses.dataclass(frozen=True, slots=True)
class TokenFacts:
    """What is known of a token: what was asked for, what was granted, and what it says of itself.

    Claims are a hint: servers decide by what they know themselves, and with Exchange's RBAC for
    Applications a token without any role works.
    """

    label: str
    flow: str
    personal: bool
    client_id: str
    identity: str
    user: str
    exchange: bool
    readable: bool
    audience: tuple[str, ...]
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    expires_at: float

    def permission(self, protocol: str) -> str:
        """What Exchange wants a token to be granted for a wire; empty elsewhere."""
        return (_OF_PERSON if self.personal else _OF_APP).get(protocol, "") if self.exchange else ""

    def shows(self, permission: str) -> bool:
        """Whether the token names it, among its roles or its scopes."""
        return any(
            each.rpartition("/")[2].casefold() == permission.casefold()
            for each in (*self.roles, *self.scopes)
        )


def facts_of(grant: Grant, access: Access, user: str) -> TokenFacts:
    """The facts of a token that was fetched for a grant, presented for ``user``."""
    hints = access.hints
    scopes = hints.scopes if hints is not None and hints.scopes else access.granted
    audience = hints.audience if hints is not None else ()
    roles = hints.roles if hints is not None else ()
    entra = is_entra(grant.authority) if grant.entra is None else grant.entra
    named = (*audience, *grant.scopes)
    return TokenFacts(
        grant.label, grant.flow, grant.personal, grant.client_id, access.identity, user,
        entra or any(each.startswith(_EXCHANGE) for each in named), hints is not None,
        audience, roles, scopes, access.expires_at,
    )  # fmt: skip


def told(facts: TokenFacts, now: float) -> str:
    """A token in a line: from where, for whom, for what, until when (seconds since 1970)."""
    who = f"signed in as {facts.identity}" if facts.identity else ""
    what = [
        f"{facts.label}, {_FLOWS[facts.flow]}", who,
        f"for {', '.join(facts.audience)}" if facts.audience else "",
        f"roles {', '.join(facts.roles)}" if facts.roles else "",
        f"scopes {', '.join(facts.scopes)}" if facts.scopes else "",
        "it names no role" if facts.readable and not (facts.roles or facts.personal) else "",
        f"until {rfc3339(facts.expires_at)} ({max(0.0, facts.expires_at - now) / 60:.0f} min)",
    ]  # fmt: skip
    return "; ".join(filter(None, what))


def advise_without_token(error: PostroomError, name: str) -> Advice:
    """What to do when no token was given at all; the error's own hint has the action."""
    if error.code == "sign_in_required":
        return Advice("Somebody has to sign in, once:", (f"postroom connection signin {name}",))
    return Advice(error.hint)


def advise_token(error: PostroomError, about: About, facts: TokenFacts) -> Advice:
    """What to do when a server was shown this token; as :func:`advise` for all that is no sign-in."""
    said = str(getattr(error, "said", ""))
    if about.protocol == "graph" and error.facts.get("status") in (401, 403):
        return _of_graph(error, about, facts)
    refused = error.code == "sign_in_failed" and "offered" not in error.facts
    if refused and error.temporary:
        return Advice(
            "The server put the sign-in off; the token was not refused. Try again in some minutes; if "
            "it stays so, too many connections or attempts are the usual reason."
        )
    if not refused or "certificate" in said.lower():
        return advise(error, about)
    known = [each for each in explain(said) if "password" not in f"{each.sentence} {each.action}"]
    first = f"{known[0].sentence} {known[0].action} " if known else ""
    rest = _of_exchange(about, facts) if facts.exchange else _elsewhere(about, facts)
    return Advice(first + rest.text, rest.commands)


def _elsewhere(about: About, facts: TokenFacts) -> Advice:
    scopes = ", ".join(facts.scopes) or "none that are known"
    again = (f"postroom connection signin {about.name}",) if facts.personal else ()
    return Advice(
        f"The authorization server gave a token, and {about.host} refused it. Check that the app has the "
        f"scopes that this server wants (it was given: {scopes}), that the token is meant for this "
        f"server, and that {facts.user} is the mailbox of whoever signed in.",
        again,
    )


def _of_exchange(about: About, facts: TokenFacts) -> Advice:
    if facts.audience and not any(each.startswith(_EXCHANGE) for each in facts.audience):
        return Advice(
            f"The token is for {', '.join(facts.audience)}; IMAP, POP3 and SMTP want one for "
            f"{_EXCHANGE[0]}. Correct the scopes, or leave them out: then they are what the protocol "
            "needs."
        )
    wanted = facts.permission(about.protocol)
    if facts.personal:
        return _of_person(about, facts, wanted)
    if facts.shows(wanted):
        start = (
            f"The token has the role {wanted}, so what is missing is in Exchange: the app is not "
            f"registered there with the Object ID of its enterprise application, or was not given "
            f"{facts.user}."
        )
    else:
        start = (
            f"The token has no role {wanted}. Grant it (API permissions, Office 365 Exchange Online, "
            "application permissions) with admin consent, and register the app in Exchange. Only where "
            "RBAC for Applications gives it the mailbox is no role needed: then check the scope of the "
            "role there."
        )
    return Advice(f"{start} {DELAY}", _in_exchange(about, facts))


def _in_exchange(about: About, facts: TokenFacts) -> tuple[str, ...]:
    """The commands an Exchange administrator gives, with the values of this connection in them."""
    app = facts.client_id if _SAFE.fullmatch(facts.client_id) else "APP_ID"
    mailbox = facts.user if _SAFE.fullmatch(facts.user) else "ADDRESS"
    commands = [
        f"New-ServicePrincipal -AppId {app} -ObjectId OBJECT_ID",
        f"Add-MailboxPermission -Identity {mailbox} -User OBJECT_ID -AccessRights FullAccess",
    ]
    if about.protocol == "smtp":
        commands.append(f"Set-CASMailbox {mailbox} -SmtpClientAuthenticationDisabled $false")
    return (*commands, f"postroom guide microsoft --connection {about.name}")


def _of_graph(error: PostroomError, about: About, facts: TokenFacts) -> Advice:
    wanted = "Mail.ReadWrite" if about.place == "incoming" else "Mail.Send"
    others = (wanted, f"{wanted}.Shared", "Mail.Read" if about.place == "incoming" else wanted)
    if not facts.readable or any(facts.shows(each) for each in others):
        return Advice(f"{error.hint} {DELAY}".strip())
    kind = "scope" if facts.personal else "role"
    start = (
        f"The token has no {kind} {wanted}. Grant it (API permissions, Microsoft Graph, "
        f"{'delegated' if facts.personal else 'application'} permissions) with admin consent."
    )
    if facts.personal:
        return Advice(f"{start} Then sign in again:", (f"postroom connection signin {about.name}",))
    return Advice(
        f"{start} Only where RBAC for Applications in Exchange gives the app the mailbox is no role "
        f"needed: then check the scope of its roles there (Test-ServicePrincipalAuthorization). {DELAY}",
        (f"postroom guide microsoft --connection {about.name}",),
    )


def _of_person(about: About, facts: TokenFacts, wanted: str) -> Advice:
    again = f"postroom connection signin {about.name}"
    if wanted and facts.scopes and not facts.shows(wanted):
        return Advice(
            f"The sign-in was not granted {wanted}. Add it to the app (delegated permissions), consent, "
            "then sign in again:",
            (again,),
        )
    if facts.identity and facts.identity.casefold() != facts.user.casefold():
        return Advice(
            f"{facts.identity} signed in, and the mailbox is {facts.user}: it needs Full Access to it "
            f"(for sending: Send As). {DELAY}",
            (f"postroom guide microsoft --connection {about.name}",),
        )
    off = "SMTP AUTH" if about.protocol == "smtp" else about.protocol.upper()
    return Advice(
        f"The token names {wanted}, and Exchange refused it for {facts.user}: usually {off} is switched "
        f"off for this mailbox (Set-CASMailbox), or the sign-in was withdrawn. {DELAY}",
        (again,),
    )
